// Plans that are made image by image.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "sgmae/nn/mask_plan.h"

namespace sgmae {

// visible_count(). Throws Error(usage) unless something stays visible and something is masked.
std::int64_t some_visible(std::int64_t n_patches, double mask_ratio);

// `write` is given each image's place in the batch and its order [N] (MaskPlan) to be written, from
// several threads.
using WriteOrder = std::function<void(std::int64_t image, std::span<std::int64_t> order)>;
MaskPlan plan_each(std::int64_t images, std::int64_t n_patches, std::int64_t n_visible,
                   const WriteOrder& write);

}  // namespace sgmae
