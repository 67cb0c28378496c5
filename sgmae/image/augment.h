// The random part of MAE's training transform (method: He et al. 2022, appendix A.1): a random
// resized crop and a flip, with torchvision's meaning of each number.
#pragma once

#include "sgmae/base/rng.h"
#include "sgmae/image/geometry.h"

namespace sgmae {

struct LabelMap;

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

// An image of `size` enlarged or reduced, its shape kept, to fill `canvas` in one direction and not
// exceed it in the other, times `scale`. No side is below 1.
ImageSize fitted(ImageSize size, ImageSize canvas, double scale = 1);

// Large-scale jitter (Ghiasi et al. 2021), as ViTDet trains with: the image fitted to the canvas
// times a scale uniform in [min_scale, max_scale), and a part of that at a random place, as large
// as the canvas or the image, whichever is smaller.
Placement large_scale_jitter(Rng& rng, ImageSize size, ImageSize canvas, double min_scale,
                             double max_scale);

// An image of `size` resized, its shape kept, so that its shorter side is `shorter`, or as near as
// its longer side, at most `longer`, allows. No side is below 1.
ImageSize scaled_to_sides(ImageSize size, int shorter, int longer);

// mmsegmentation's training transform is these two. The size of the whole image, so that its
// shorter side is the canvas's shorter one times a scale uniform in [min_scale, max_scale), and its
// longer one at most four times that;
ImageSize random_scale(Rng& rng, ImageSize size, ImageSize canvas, double min_scale,
                       double max_scale);
// and of the image resized to `scaled` a part at a random place, as large as the canvas or the
// image, whichever is smaller. Where by `labels`, the whole image's (may be null), one class has
// `max_class_share` of the part's labelled pixels or more, or none is labelled, another place is
// drawn, up to ten in all; the last one stays.
Placement random_crop(Rng& rng, ImageSize scaled, ImageSize canvas, const LabelMap* labels,
                      double max_class_share);

bool random_flip(Rng& rng, const AugmentOptions& options = {});

}  // namespace sgmae
