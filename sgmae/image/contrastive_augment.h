// How the colours of the two views of an image are changed that contrastive learning compares:
// BYOL's augmentation (Grill et al. 2020, appendix B), which MoCo v3 takes over. Crop and flip come
// before it (image/augment.h).
#pragma once

#include <array>
#include <optional>

#include "sgmae/base/rng.h"
#include "sgmae/image/image.h"

namespace sgmae {

struct ViewOptions {
  double jitter = 0.8;                                        // probability
  double brightness = 0.4, contrast = 0.4, saturation = 0.2;  // factors 1 - … to 1 + …
  double hue = 0.1;                                           // turns -… to … of the circle
  double grey = 0.2, blur = 1, solarise = 0;                  // probabilities
  double blur_min = 0.1, blur_max = 2;                        // sigma in pixels
};

struct TwoViews {
  ViewOptions first = {}, second = {.blur = 0.1, .solarise = 0.2};
};

// torchvision's ColorJitter: these four, in any order.
struct ColourJitter {
  double brightness = 1, contrast = 1, saturation = 1, hue = 0;
  std::array<int, 4> order = {0, 1, 2, 3};  // 0 is brightness
};

// What is done to one view, in this order; nothing where there is no value.
struct ViewChanges {
  std::optional<ColourJitter> jitter;
  bool grey = false;
  std::optional<double> blur;  // sigma in pixels
  bool solarise = false;       // values from 128 on are inverted
};

ViewChanges draw_view(Rng& rng, const ViewOptions& options);
void apply(const ViewChanges& changes, Image& image);

// Each pixel becomes the mean of those around it, weighted by exp(-distance^2 / (2 sigma^2)) up to
// ceil(4 sigma) rows and columns away, with the border's pixels beyond it. Rounded once.
void gaussian_blur(Image& image, double sigma);

}  // namespace sgmae
