// Splits independent work over threads. For code that does not see LibTorch (image decoding, eigen
// problems, kernels' tests); code that does uses at::parallel_for, which shares LibTorch's threads.
#pragma once

#include <cstdint>
#include <functional>

namespace sgmae {

// Calls body(begin, end) over disjoint ranges that cover 0 .. count-1, on up to `threads` threads
// (0: one per processor). An exception of a body is rethrown here after all have ended.
void parallel_ranges(std::int64_t count, int threads,
                     const std::function<void(std::int64_t, std::int64_t)>& body);

}  // namespace sgmae
