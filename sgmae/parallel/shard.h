// Which part of a row of numbers is whose.
#pragma once

#include <cstdint>

namespace sgmae {

struct Shard {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
};

// Of `count` fp32 numbers the part of process `rank` of `processes`: whole cache lines, as many as
// the others' but for one.
inline Shard shard_of(std::int64_t count, int rank, int processes) {
  constexpr std::int64_t line = 16;
  const std::int64_t lines = (count + line - 1) / line;
  const auto until = [&](std::int64_t ranks) {
    const std::int64_t end = lines * ranks / processes * line;
    return end < count ? end : count;
  };
  return {until(rank), until(rank + 1)};
}

}  // namespace sgmae
