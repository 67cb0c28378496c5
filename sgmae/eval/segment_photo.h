// The class of every pixel of a photo of any size, by a model that sees windows of one size.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "sgmae/image/image.h"
#include "sgmae/image/label_map.h"
#include "sgmae/image/normalise.h"

namespace sgmae {

// What gives logits of classes: pixels [B, C, H, W] of whole patches, no larger than the window, to
// [B, classes, h, w] fp32 of any smaller size.
struct PixelClassifier {
  std::function<at::Tensor(const at::Tensor& pixels)> logits;
  std::int64_t side = 0;  // of the square window, in pixels
  std::int64_t patch = 0;
  std::int64_t channels = 3;
  Normalisation normalisation;
};

struct SegmentViews {
  bool whole = false;             // one view: the photo as large as fits the window, its shape kept
  std::int64_t stride = 0;        // of the window, in pixels; 0: two thirds of it
  std::int64_t batch_size = 1;    // windows at a time
  std::vector<double> scales{1};  // of the photo's shorter side, in terms of the window's
  bool flip = false;              // and each of these views mirrored
};

// Where windows begin along a side: every `stride`, the last one at its end.
std::vector<std::int64_t> window_starts(std::int64_t length, std::int64_t window,
                                        std::int64_t stride);

// The photo, brought to a scale, is covered by windows; logits are resized to their window
// (bilinear, corners not aligned), and where windows overlap their mean counts. Of several views
// the mean of their probabilities does, at the size of the first. The result is resized to the
// photo's size before the likeliest class of each pixel is taken (of several the lowest). Throws
// Error(diverged) for logits that are NaN.
LabelMap segment_photo(const PixelClassifier& classifier, const ImageView& photo,
                       const SegmentViews& views);

// scores [1, classes, h, w] fp32 on any device, resized to `size`: the class of the largest at each
// pixel. Holds no more than some rows of what it resizes.
LabelMap likeliest_classes(const at::Tensor& scores, ImageSize size);

}  // namespace sgmae
