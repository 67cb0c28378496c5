// The random part of MAE's training transform (method: He et al. 2022, appendix A.1): a random
// resized crop and a flip, with torchvision's meaning of each number.
#pragma once

#include "sgmae/base/rng.h"
#include "sgmae/image/geometry.h"

namespace sgmae {

struct AugmentOptions {
  double min_scale = 0.2, max_scale = 1.0;              // share of the image's area
  double min_ratio = 3.0 / 4.0, max_ratio = 4.0 / 3.0;  // width / height
  double flip = 0.5;                                    // probability
  bool single_draw = false;  // no second try: a side that is too long is cut to the image's
};

// A box inside `size`: area share uniform, ratio log-uniform; after 10 boxes that do not fit, the
// largest central box whose ratio is allowed. With single_draw the first box, its sides cut to the
// image's: what MAE's linear probe takes over from TensorFlow (method.md 2.4).
CropBox random_resized_crop(Rng& rng, ImageSize size, const AugmentOptions& options = {});

bool random_flip(Rng& rng, const AugmentOptions& options = {});

}  // namespace sgmae
