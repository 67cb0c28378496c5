// ViTDet's simple feature pyramid (Li et al. 2022, section 3): four maps made of the encoder's last
// one, and a fifth of the coarsest.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "sgmae/dense/layers.h"

namespace sgmae {

class FeaturePyramid {
 public:
  static constexpr int levels = 5;
  // Pixels between cells of a level, for patches of this side: a quarter of it, half, …
  static double stride(int level, std::int64_t patch_size) {
    return static_cast<double>(patch_size) * 0.25 * (1 << level);
  }

  // Of an encoder's map with `dim` channels. Names as ViTDet's: backbone.simfp_2.0.weight …
  FeaturePyramid(std::int64_t dim, std::int64_t channels, LayerMaker make);

  // map [1, D, H, W] -> p2 to p6, [1, channels, .., ..] fp32: 4H x 4W, 2H x 2W, H x W, H/2 x W/2
  // and every second cell of that; halves rounded down, but to 1 at least.
  std::vector<at::Tensor> forward(const at::Tensor& map, at::ScalarType type) const;

 private:
  Doubling quadruple_first_, quadruple_second_, double_;
  Parameter *norm_weight_, *norm_bias_;  // between the two of p2
  struct Output {
    Convolution lateral, smooth;  // 1x1, 3x3
  };
  std::vector<Output> outputs_;  // p2 to p5
};

}  // namespace sgmae
