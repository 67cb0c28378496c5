// Internal to dense/: a 3x3 convolution that keeps the size, and its gradients, in one type
// throughout; maps in channels-last memory. LibTorch's, or where that is quicker by Winograd's
// filtering (winograd.h).
#pragma once

#include <ATen/core/Tensor.h>

namespace sgmae {

// x [B, C, H, W], w [O, C, 3, 3] channels last, b [O] or undefined -> [B, O, H, W]
at::Tensor convolve(const at::Tensor& x, const at::Tensor& w, const at::Tensor& b);

// The gradient of x for dy [B, O, H, W].
at::Tensor convolve_input_gradient(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& w);

// That of w, summed in fp32: [O, 3, 3, C].
at::Tensor convolve_weight_gradient(const at::Tensor& dy, const at::Tensor& x);

}  // namespace sgmae
