// Attention of any shape: over the whole image or within windows, with or without relative
// positions. A window is a reshape in front of the same kernels (nn/ops.h), which also know
// relative positions (nn/relative_attention.h). On other devices these are made of LibTorch's
// operators, in fp32 and one head at a time, so that what is held beside the results is bounded.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "sgmae/nn/ops.h"
#include "sgmae/nn/parameter.h"
#include "sgmae/nn/position_embedding.h"

namespace sgmae {

// What attention must know beside queries, keys and values. With windows or relative positions the
// tokens of an image are the class token, where there is one, and all patches of the grid, row by
// row (check_config); otherwise they may be any, and only `heads` is looked at.
struct AttentionShape {
  std::int64_t heads = 1;
  std::int64_t rows = 0, columns = 0;  // of the grid of the images at hand
  std::int64_t class_tokens = 0;       // 0 or 1
  std::int64_t window = 0;             // side S in patches (BlockAttention::window); 0: none

  // Tables of relative positions (RelativePosition), null where there are none. Without windows
  // they may be of a larger grid: `tables`, {0, 0} for one of the same size.
  GridSize tables = {};
  Parameter* rel_pos_h =
      nullptr;  // [2*rows of the tables - 1, D/heads], from far above to far below
  Parameter* rel_pos_w = nullptr;   // [2*columns of the tables - 1, D/heads]
  Parameter* bias_table = nullptr;  // [rows apart * columns apart, heads]; with a class token three
                                    // more: from it to patches, from patches to it, to itself

  // Of the part of the grid in which tokens attend to each other.
  std::int64_t side_rows() const { return window > 0 ? window : rows; }
  std::int64_t side_columns() const { return window > 0 ? window : columns; }
  std::int64_t windows() const;  // of an image; 1 without windows
  bool has_relative_positions() const { return rel_pos_h || bias_table; }
  // The part of a grid that the tables are of.
  GridSize table_side() const {
    return window > 0 || tables == GridSize{} ? GridSize{side_rows(), side_columns()} : tables;
  }
  // The same attention for images of another grid, no larger than that of the tables.
  AttentionShape on(GridSize grid) const {
    AttentionShape shape = *this;
    shape.tables = table_side();
    shape.rows = grid.rows, shape.columns = grid.cols;
    return shape;
  }
};

// x [B*rows*columns, D] -> [B*windows*S*S, D], `beyond` [D] (undefined: zeros) where windows reach
// beyond the grid. Without windows x itself, whatever its tokens.
at::Tensor into_windows(const at::Tensor& x, const AttentionShape& shape,
                        const at::Tensor& beyond = {});
// The inverse, which leaves out what lies beyond the grid.
at::Tensor from_windows(const at::Tensor& x, const AttentionShape& shape);

// As those of nn/ops.h, for tokens as into_windows gives them: B is images times windows.
Attended attention(const at::Tensor& qkv, const AttentionShape& shape);
// Adds the gradients of the tables of relative positions.
at::Tensor attention_backward(const at::Tensor& dout, const at::Tensor& qkv,
                              const Attended& attended, const AttentionShape& shape);
// [B, heads, n, n] of images and all their tokens, zero between windows. Rows sum to one, or less
// where there was attention to what lies beyond the grid.
at::Tensor attention_weights(const at::Tensor& qkv, const AttentionShape& shape);

}  // namespace sgmae
