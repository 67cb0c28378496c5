// The boxes that the region proposal network starts from (Ren et al. 2015; on a pyramid, Lin et al.
// 2017, section 4.1).
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "sgmae/nn/position_embedding.h"

namespace sgmae {

struct AnchorShapes {
  double scale = 8;                       // side of a square one, in strides of its level
  std::vector<double> ratios{0.5, 1, 2};  // height over width, at the same area
};

// Anchors of a level, around the upper left corner of each of its cells of `stride` pixels, row by
// row, shapes innermost: [rows * cols * ratios, 4] on `device`. As ViTDet's, not rounded to pixels.
at::Tensor anchors(GridSize grid, double stride, const AnchorShapes& shapes, at::Device device);

}  // namespace sgmae
