// Internal to dense/, on a CPU: a 3x3 convolution of an enlarged map is a sum over its nine taps,
// each the enlarged and shifted map times one matrix. Enlarging and multiplying can change places:
// here is what follows when the products were made at the small size.
#pragma once

#include <ATen/core/Tensor.h>

namespace sgmae {

// out [B, H, W, O] fp32 += the sum over taps t = 3 (dy + 1) + dx + 1 of taps[:, :, :, t], enlarged
// (bilinear, corners not aligned), at (y + dy, x + dx), and zero beyond the border.
// taps [B, h, w, 9, O] fp32 or bf16, h <= H and w <= W.
void add_enlarged_taps(const at::Tensor& taps, at::Tensor& out);

// The gradient of taps, in dout's type. dout [B, H, W, O] fp32 or bf16.
at::Tensor enlarged_taps_gradient(const at::Tensor& dout, std::int64_t height, std::int64_t width);

}  // namespace sgmae
