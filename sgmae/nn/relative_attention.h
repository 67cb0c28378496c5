// Attention with relative positions on a CPU with products of our own: as attention() of nn/ops.h,
// with something added to the scaled logits for the offset between query and key.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "sgmae/nn/ops.h"
#include "sgmae/nn/position_embedding.h"

namespace sgmae {

// q . R_h[rows apart] + q . R_w[columns apart] (ViTDet; MViTv2, eq. 4).
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

// A learned number of each head (BEiT).
struct PositionBias {
  std::int64_t rows = 0, columns = 0;  // of the grid whose patches are the tokens, row by row
  std::int64_t class_tokens = 0;       // 0 or 1, in front of them
  GridSize side;                       // of the grid that the table is of, no smaller
  at::Tensor table;                    // as AttentionShape::bias_table, fp32
};

Attended attention(const at::Tensor& qkv, std::int64_t heads, const PositionBias& bias);
// Adds the table's gradient to dtable.
at::Tensor attention_backward(const at::Tensor& dout, const at::Tensor& qkv,
                              const Attended& attended, std::int64_t heads,
                              const PositionBias& bias, at::Tensor& dtable);

}  // namespace sgmae
