// Random erasing (Zhong et al. 2020) as fine-tuning uses it: a rectangle of a normalised image is
// replaced by standard normal noise, a draw for every value.
#pragma once

#include <functional>
#include <optional>

#include "sgmae/base/rng.h"
#include "sgmae/image/geometry.h"

namespace sgmae {

struct RandomEraseOptions {
  double probability = 0;  // for an image
  double min_area = 0.02, max_area = 1.0 / 3.0;
  double min_aspect = 0.3;  // height / width is log-uniform from this to its inverse
};

// A rectangle, or nothing when ten draws did not fit into the image.
// `uniform` yields numbers of [0, 1).
std::optional<CropBox> erase_box(ImageSize size, const RandomEraseOptions& options,
                                 const std::function<double()>& uniform);

// `values` [channels, height, width], normalised.
void random_erase(Rng& rng, const RandomEraseOptions& options, int channels, ImageSize size,
                  float* values);

}  // namespace sgmae
