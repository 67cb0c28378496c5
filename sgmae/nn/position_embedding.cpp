#include "sgmae/nn/position_embedding.h"

#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/upsample_bicubic2d.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/upsample_linear1d.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "sgmae/base/error.h"

namespace sgmae {

at::Tensor sincos_position_embedding(std::int64_t rows, std::int64_t cols, std::int64_t dim) {
  at::Tensor table = at::zeros({1, 1 + rows * cols, dim}, at::kFloat);
  float* out = table.data_ptr<float>() + dim;
  const std::int64_t quarter = dim / 4;
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t col = 0; col < cols; ++col, out += dim)
      for (std::int64_t k = 0; k < quarter; ++k) {
        const double omega =
            std::pow(10000.0, -static_cast<double>(k) / static_cast<double>(quarter));
        out[k] = static_cast<float>(std::sin(static_cast<double>(col) * omega));
        out[quarter + k] = static_cast<float>(std::cos(static_cast<double>(col) * omega));
        out[2 * quarter + k] = static_cast<float>(std::sin(static_cast<double>(row) * omega));
        out[3 * quarter + k] = static_cast<float>(std::cos(static_cast<double>(row) * omega));
      }
  return table;
}

at::Tensor resize_position_embedding(const at::Tensor& table, GridSize from, GridSize to,
                                     PositionResize how) {
  const std::int64_t dim = table.size(2);
  const std::int64_t cls = table.size(1) - from.rows * from.cols;
  SGMAE_ASSERT(cls == 0 || cls == 1);
  if (from == to) return table.to(at::kFloat);
  const at::Tensor all = table.to(at::kFloat);
  const at::Tensor grid = all.narrow(1, cls, from.rows * from.cols)
                              .reshape({1, from.rows, from.cols, dim})
                              .permute({0, 3, 1, 2});
  at::Tensor resized;
  switch (how) {
    case PositionResize::plain:
      resized = at::upsample_bicubic2d(grid, {to.rows, to.cols}, /*align_corners=*/false);
      break;
    case PositionResize::offset:
      resized = at::upsample_bicubic2d(
          grid, {to.rows, to.cols}, /*align_corners=*/false,
          (static_cast<double>(to.rows) + 0.1) / static_cast<double>(from.rows),
          (static_cast<double>(to.cols) + 0.1) / static_cast<double>(from.cols));
      break;
    case PositionResize::antialias:
      resized = at::_upsample_bicubic2d_aa(grid, {to.rows, to.cols}, /*align_corners=*/false);
      break;
  }
  return at::cat(
      {all.narrow(1, 0, cls), resized.permute({0, 2, 3, 1}).reshape({1, to.rows * to.cols, dim})},
      1);
}

at::Tensor resize_relative_axis(const at::Tensor& table, std::int64_t to) {
  return at::upsample_linear1d(table.to(at::kFloat).t().unsqueeze(0), {2 * to - 1},
                               /*align_corners=*/false)[0]
      .t()
      .contiguous();
}

at::Tensor resize_relative_bias(const at::Tensor& table, GridSize from, GridSize to) {
  const std::int64_t heads = table.size(1), rows = 2 * from.rows - 1, cols = 2 * from.cols - 1;
  SGMAE_ASSERT(table.size(0) == rows * cols || table.size(0) == rows * cols + 3);
  const at::Tensor all = table.to(at::kFloat);
  const at::Tensor resized =
      at::upsample_bilinear2d(all.narrow(0, 0, rows * cols).t().reshape({1, heads, rows, cols}),
                              {2 * to.rows - 1, 2 * to.cols - 1}, /*align_corners=*/false)
          .view({heads, -1})
          .t();
  return at::cat({resized, all.narrow(0, rows * cols, table.size(0) - rows * cols)});
}

}  // namespace sgmae
