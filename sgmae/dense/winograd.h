// Internal to dense/: 3x3 convolutions that keep the size, and their gradients, by Winograd's
// minimal filtering (kernels/winograd.h) and products of our own (nn/products.h): a quarter of the
// multiplications. Maps are in channels-last memory, fp32 or bf16; everything between is fp32. The
// bits do not depend on the number of threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace sgmae {

// 4x4 tiles of maps [B, C, H, W].
std::int64_t winograd_tiles(const at::Tensor& maps);

// x [B, C, H, W], w [O, C, 3, 3] and b [O] of its type, b perhaps undefined -> [B, O, H, W]
at::Tensor winograd_convolve(const at::Tensor& x, const at::Tensor& w, const at::Tensor& b);

// The gradient of x for dy [B, O, H, W] -> [B, C, H, W]
at::Tensor winograd_input_gradient(const at::Tensor& dy, const at::Tensor& w);

// That of w: [O, 3, 3, C] fp32.
at::Tensor winograd_weight_gradient(const at::Tensor& dy, const at::Tensor& x);

}  // namespace sgmae
