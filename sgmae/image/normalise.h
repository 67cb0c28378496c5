// 8-bit pixels to the network's numbers and back.
#pragma once

#include <optional>
#include <vector>

#include "sgmae/image/image.h"
#include "sgmae/image/resize.h"
#include "sgmae/image/stored_values.h"

namespace sgmae {

// value = (pixel / 255 - mean) / std, by channel; with `stored`, of values as stored (bands.h),
// value = (stored - mean) / std.
struct Normalisation {
  std::vector<float> mean, std;
  std::optional<StoredValues> stored = {};
};

// Three channels: ImageNet's (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), as MAE. Otherwise mean
// 0.5, std 0.25: no data set's own, but near enough to unit variance for any.
Normalisation default_normalisation(int channels);

// `image` [H, W, C] to `out` [C, H, W]. One rounding per value (a fused multiply-add).
void normalise(const Image& image, const Normalisation& normalisation, float* out,
               Simd simd = Simd::automatic);

// The same in the upper left corner of `out` [C, H, W], a canvas at least as large; the rest is 0.
void normalise(const Image& image, const Normalisation& normalisation, ImageSize canvas, float* out,
               Simd simd = Simd::automatic);

// `values` [C, H, W] back to pixels, rounded and clamped to 0 … 255.
Image denormalise(const float* values, int channels, ImageSize size,
                  const Normalisation& normalisation);

}  // namespace sgmae
