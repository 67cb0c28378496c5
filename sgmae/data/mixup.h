// Mixup (Zhang et al. 2018) and cutmix (Yun et al. 2019) over a whole batch, and the soft targets
// and loss that go with them: timm's "batch" mode, each image with the one at the mirrored place.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "sgmae/base/rng.h"
#include "sgmae/image/geometry.h"

namespace sgmae {

struct MixOptions {
  double mixup = 0, cutmix = 0;   // alpha of Beta(alpha, alpha); 0: not used
  double probability = 1;         // that a batch is mixed
  double switch_to_cutmix = 0.5;  // where both are used
  double smoothing = 0.1;         // of labels

  bool mixes() const { return mixup > 0 || cutmix > 0; }
};

// How one batch is mixed. `lambda` is the share of an image's own pixels; 1: nothing is mixed.
struct Mix {
  bool cut = false;
  double lambda = 1;
  double centre_x = 0, centre_y = 0;  // of cutmix's box, as shares [0, 1) of width and height
};

Mix draw_mix(Rng& rng, const MixOptions& options);

// Beta(a, b) for positive a and b.
double draw_beta(Rng& rng, double a, double b);

// Cutmix's box: centred, area 1 - lambda before the image's border cuts it off.
CropBox cutmix_box(ImageSize size, const Mix& mix);

// Mixes pixels [B, C, H, W] in place; returns lambda, corrected for the pixels that cutmix changed.
double apply_mix(const Mix& mix, at::Tensor& pixels);

// [B, classes] fp32: lambda times the smoothed own label plus 1 - lambda times the partner's, where
// smoothing s gives 1 - s + s / classes to the label and s / classes to the others.
at::Tensor soft_targets(const std::vector<std::int64_t>& label, std::int64_t classes, double lambda,
                        double smoothing);

// Cross-entropy -sum target log softmax(logits), mean over the batch: [] fp64. logits, target
// [B, classes] fp32 on one device, where results lie; nobody waits for them. With dlogits:
// dlogits = loss_scale * d loss / d logits.
at::Tensor soft_cross_entropy(const at::Tensor& logits, const at::Tensor& target, double loss_scale,
                              at::Tensor* dlogits);

}  // namespace sgmae
