// Which object a candidate box stands for, and which candidates a loss is taken of (Ren et al.
// 2015, section 3.1.2 and 3.1.3).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace sgmae {

struct Thresholds {
  double low = 0.3, high = 0.7;  // of the overlap: background below, an object from here on
  bool best_of_each = true;  // the candidates that overlap an object most are its, whatever they do
};

inline constexpr std::int64_t background = -1, undecided = -2;

// overlap [objects, candidates] -> [candidates] int64: the object with the largest overlap, of
// several equal ones the first; or one of the above.
at::Tensor match(const at::Tensor& overlap, const Thresholds& thresholds);
// The same of boxes [objects, 4] and [candidates, 4], of which the overlaps are never held all at
// once where there are many.
at::Tensor match(const at::Tensor& objects, const at::Tensor& candidates,
                 const Thresholds& thresholds);

// Which `count` of n candidates: [count] int64, distinct.
using Draw = std::function<at::Tensor(std::int64_t n, std::int64_t count)>;

// At random, from generators keyed as all draws are; every call takes the next.
Draw random_draw(std::uint64_t seed, std::uint64_t epoch, std::int64_t image);

struct Sample {
  at::Tensor positives, negatives;  // [.] int64, positions in what was matched
};

// At most `count` candidates, of which at most `share` are positive; negatives fill up.
Sample sample(const at::Tensor& matched, std::int64_t count, double share, const Draw& draw);

}  // namespace sgmae
