// Where a bilinear resize looks.
#pragma once

#include <algorithm>
#include <cstdint>

namespace sgmae {

// Between two places of an axis, `share` of the way from low to high, which are the same behind the
// last one.
struct Between {
  std::int64_t low = 0, high = 0;
  float share = 0;
};

// What place `at` of an axis of `to` sees of one of `from` (corners not aligned).
inline Between between(std::int64_t at, std::int64_t from, std::int64_t to) {
  const double place = std::max(
      0.0,
      (static_cast<double>(at) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5);
  const auto low = std::min(static_cast<std::int64_t>(place), from - 1);
  return {low, std::min(low + 1, from - 1), static_cast<float>(place - static_cast<double>(low))};
}

}  // namespace sgmae
