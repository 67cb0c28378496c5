// Attention with decomposed relative positions (ViTDet; MViTv2, eq. 4) on a CPU with products of
// our own: as attention() of nn/ops.h, with q . R_h[rows apart] + q . R_w[columns apart] added to
// the scaled logits.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "sgmae/nn/ops.h"

namespace sgmae {

struct DecomposedPositions {
  std::int64_t rows = 0, columns = 0;  // of the grid whose patches are the tokens, row by row
  // Tables [2*rows - 1, d] and [2*columns - 1, d] fp32; entry i - j + side - 1 is for query i and
  // key j of the axis.
  at::Tensor h, w;
};

Attended attention(const at::Tensor& qkv, std::int64_t heads, const DecomposedPositions& positions);
// Adds the tables' gradients to dh and dw.
at::Tensor attention_backward(const at::Tensor& dout, const at::Tensor& qkv,
                              const Attended& attended, std::int64_t heads,
                              const DecomposedPositions& positions, at::Tensor& dh, at::Tensor& dw);

}  // namespace sgmae
