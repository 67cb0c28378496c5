// How far apart two sides of an image are, by the weight of the edges within and between them
// (paper, Fig. 3a and appendix B: the sides are those of the last checkpoint).
#pragma once

#include <ATen/core/Tensor.h>

namespace sgmae {

struct Separation {
  at::Tensor intra;  // [B] fp32: mean edge i != j within a side, both sides together
  at::Tensor inter;  // [B] fp32: mean edge between the sides
};

// Of relations [B, N, N] (M or A) and side [B, N] (0 or 1). NaN where a side is empty.
Separation separation(const at::Tensor& relation, const at::Tensor& side);

}  // namespace sgmae
