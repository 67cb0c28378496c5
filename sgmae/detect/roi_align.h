// RoIAlign (He et al. 2017, section 3): the part of a feature map that lies in a box, as a small
// map of fixed size.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace sgmae {

struct RoiAlign {
  std::int64_t size = 7;    // cells of the result, each way
  double scale = 1.0 / 16;  // of the feature map, relative to the boxes' pixels
  std::int64_t samples =
      0;                // in a cell, each way; 0: as many as cells of the map there, rounded up
  bool aligned = true;  // pixel i of the map is its cell's middle, i + 1/2 (ViTDet)

  // feature [C, H, W] fp32, boxes [n, 4] (no gradient) -> [n, C, size, size]. Mean over the samples
  // of bilinear interpolation; samples more than a cell beyond the map count as 0. Differentiable.
  // Its memory is channels-last, as it is best for `feature`.
  at::Tensor operator()(const at::Tensor& feature, const at::Tensor& boxes) const;

  // The same composed of ATen operations, as it is computed on other devices.
  at::Tensor composed(const at::Tensor& feature, const at::Tensor& boxes) const;
};

}  // namespace sgmae
