// Masks of a finished model: the guide options with which it was trained, and what they hide.
#pragma once

#include <map>
#include <string>

#include "sgmae/checkpoint/open_model.h"
#include "sgmae/mask/guide.h"
#include "sgmae/mask/options.h"

namespace sgmae {

// The options of the model's training, under those `given` as text by declare_guide's names (an
// empty text is none). Where the model lacks what they need (a decoder, position means of this tap)
// the nearest choice that it can serve, with a warning. Throws Error(usage) for other names and for
// values that do not fit.
GuideOptions trained_guide(const OpenedModel& model,
                           const std::map<std::string, std::string>& given = {});

// Which patches of pixels [B, C, H, W] a model hides by that guide, as in the first epoch of
// guidance: hints are `hint_ratio` of all patches. Throws Error(usage) where ratios do not fit.
struct GuidedMasks {
  Guide guide;
  MaskPlan plan;
  std::int64_t n_hints = 0;
};
GuidedMasks guided_masks(const OpenedModel& model, const at::Tensor& pixels,
                         const GuideOptions& options, double mask_ratio, double hint_ratio);

}  // namespace sgmae
