// Work on all threads of which whichever is free takes the next piece, so that a slow processor, or
// one that others use too, keeps nobody waiting for longer than a piece takes.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace sgmae {

// Calls body(i) for 0 .. count-1.
template <class Body>
void share_out(std::int64_t count, Body body) {
  std::atomic<std::int64_t> next = 0;
  at::parallel_for(0, std::min<std::int64_t>(count, at::get_num_threads()), 1,
                   [&](std::int64_t, std::int64_t) {
                     for (std::int64_t i = next++; i < count; i = next++) body(i);
                   });
}

inline std::int64_t most_parts() {
  const std::int64_t threads = at::get_num_threads();
  return threads > 1 ? 4 * threads : 1;
}

// Cuts rows into most_parts() or fewer: body(part, begin, end). The cut depends only on the number
// of threads, so that sums over parts come out the same every time.
template <class Body>
void for_parts(std::int64_t rows, Body body) {
  const std::int64_t parts = std::min(most_parts(), rows);
  share_out(parts,
            [&](std::int64_t part) { body(part, rows * part / parts, rows * (part + 1) / parts); });
}

}  // namespace sgmae
