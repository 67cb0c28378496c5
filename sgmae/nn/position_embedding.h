#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace sgmae {

// MAE's fixed 2-D sine-cosine table [1, 1 + rows*cols, dim] fp32: row 0 (CLS) is zero; the first
// half of the channels encodes the column, the second the row; within a half, sines then cosines of
// position / 10000^(k / (dim/4)). Computed in double. `dim` is a multiple of 4.
at::Tensor sincos_position_embedding(std::int64_t rows, std::int64_t cols, std::int64_t dim);

// How a learned table follows another grid of patches. All are bicubic.
enum class PositionResize {
  plain,     // MAE, transformers: pixel centres aligned by size
  offset,    // DINOv2: scaled by (new + 0.1) / old
  antialias  // DINOv2 with registers: by size, smoothed where the grid shrinks
};

struct GridSize {
  std::int64_t rows = 0, cols = 0;
  bool operator==(const GridSize&) const = default;
};

// table [1, cls + from.rows*from.cols, dim] -> [1, cls + to.rows*to.cols, dim] fp32; the row of a
// class token (cls = 1) stays.
at::Tensor resize_position_embedding(const at::Tensor& table, GridSize from, GridSize to,
                                     PositionResize how = PositionResize::plain);

// Tables of relative positions (RelativePosition) for tokens on another grid, as transformers has
// them: one of decomposed ones for an axis of `to` patches, [2*from - 1, d] -> [2*to - 1, d],
// linearly; and BEiT's [(2*rows - 1)(2*cols - 1) + 0 or 3, heads], bilinearly, whose rows for a
// class token stay.
at::Tensor resize_relative_axis(const at::Tensor& table, std::int64_t to);
at::Tensor resize_relative_bias(const at::Tensor& table, GridSize from, GridSize to);

}  // namespace sgmae
