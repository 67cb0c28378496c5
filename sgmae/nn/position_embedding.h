#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace sgmae {

// MAE's fixed 2-D sine-cosine table [1, 1 + rows*cols, dim] fp32: row 0 (CLS) is zero; the first
// half of the channels encodes the column, the second the row; within a half, sines then cosines of
// position / 10000^(k / (dim/4)). Computed in double. `dim` is a multiple of 4.
at::Tensor sincos_position_embedding(std::int64_t rows, std::int64_t cols, std::int64_t dim);

}  // namespace sgmae
