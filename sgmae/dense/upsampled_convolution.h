// A 3x3 convolution over maps of several sizes side by side, each enlarged to the first one's: how
// UperNet's head puts together what it pooled, and what it ends with, most of its work.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace sgmae {

// levels: maps [B, C_i, H_i, W_i] of any type, none larger than the first, to whose size they are
// enlarged (bilinear, corners not aligned); weight [O, sum of C_i, 3, 3] fp32. Computes in
// `type` -> [B, O, H_0, W_0] fp32 in channels-last memory, under autograd where gradients are
// recorded; that of the weight is summed in fp32.
//
// On a CPU with products of our own the smaller maps are multiplied before they are enlarged, which
// is the same sum in another order and, of sizes that halve, a third of the work.
at::Tensor convolve_upsampled(const std::vector<at::Tensor>& levels, const at::Tensor& weight,
                              at::ScalarType type);

}  // namespace sgmae
