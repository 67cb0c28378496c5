// How strongly each patch belongs to the object cluster (paper, Eq. 8).
#pragma once

#include <ATen/core/Tensor.h>

namespace sgmae {

// S [B, N] fp32, S_i = cos(mean of x over the object side, x_i), of features [B, N, D] and
// object_side [B, N] uint8. Rows without an object side are NaN.
at::Tensor relevance(const at::Tensor& features, const at::Tensor& object_side);

}  // namespace sgmae
