#include "sgmae/detect/anchors.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <cmath>

namespace sgmae {

at::Tensor anchors(GridSize grid, double stride, const AnchorShapes& shapes, at::Device device) {
  std::vector<float> cell;
  for (const double ratio : shapes.ratios) {
    const double side = shapes.scale * stride;
    const auto half_width = static_cast<float>(side / std::sqrt(ratio) / 2);
    const auto half_height = static_cast<float>(side * std::sqrt(ratio) / 2);
    cell.insert(cell.end(), {-half_width, -half_height, half_width, half_height});
  }
  const auto steps = [&](std::int64_t n) { return at::arange(n, at::kFloat).mul_(stride); };
  const at::Tensor y = steps(grid.rows).view({-1, 1}).expand({grid.rows, grid.cols});
  const at::Tensor x = steps(grid.cols).expand({grid.rows, grid.cols});
  return at::stack({x, y, x, y}, -1)
      .view({-1, 1, 4})
      .add(at::tensor(cell, at::kFloat).view({1, -1, 4}))
      .view({-1, 4})
      .to(device);
}

}  // namespace sgmae
