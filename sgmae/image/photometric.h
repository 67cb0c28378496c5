// Photometric distortion, as segmentation trains with it (Liu et al. 2016; mmsegmentation's
// PhotoMetricDistortion): brightness, contrast, saturation and hue, each changed with probability
// 1/2, and 8-bit values between the changes.
#pragma once

#include <optional>

#include "sgmae/base/rng.h"
#include "sgmae/image/image.h"

namespace sgmae {

// In place, on 1 or 3 channels. Results are cut off to whole numbers and clipped to 0 … 255, in
// single precision.
void add_brightness(Image& image, double delta);      // value + delta
void multiply_contrast(Image& image, double factor);  // value * factor
// Through 8-bit hue (0 … 179), saturation and value, equal to OpenCV's RGB2HSV and HSV2RGB. A grey
// image stays as it is.
void multiply_saturation(Image& image, double factor);  // saturation * factor
void shift_hue(Image& image, int delta);                // (hue + delta) modulo 180

// One image's changes; where there is no value, nothing is done.
struct PhotometricDistortion {
  std::optional<double> brightness;  // -32 … 32
  std::optional<double> contrast;    // 0.5 … 1.5
  bool contrast_first = false;       // before saturation and hue, else after them
  std::optional<double> saturation;  // 0.5 … 1.5
  std::optional<int> hue;            // -18 … 17
};

PhotometricDistortion draw_photometric(Rng& rng);
void apply(const PhotometricDistortion& distortion, Image& image);

}  // namespace sgmae
