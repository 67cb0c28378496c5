// What strategies share whose masks come from a trained network (ADIOS, AutoMAE, CL-MAE).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sgmae/mask/strategy.h"

namespace sgmae {

// An image's random stream, keyed by (seed, epoch, position in the data set).
Rng mask_stream(const MaskContext& context, std::int64_t epoch, std::int64_t index);

// Hides the patches of the highest scores, ties drawn. `scores` writes those of the i-th image [N]
// and first draws from its stream what it needs. What is not finite counts as 0: only a model whose
// step is refused anyway makes such.
MaskPlan highest_hidden(
    const std::vector<std::int64_t>& index, const MaskContext& context, std::int64_t epoch,
    const std::function<void(std::int64_t i, Rng& rng, std::span<float> scores)>& scores);

// How the reconstruction loss changes with how much of a patch the encoder sees: dpixels summed
// over the patch with the pixels, d loss / d v_i at v_i = 1 where the encoder reads v_i * x_i.
// [B, N] fp32 times the step's loss_scale, on the model's device; zero for hidden patches, of which
// the encoder sees nothing. (The way of the loss through the target is left out: a louder target is
// a larger loss, which says nothing of what to hide.)
at::Tensor visibility_gradient(const MaskFeedback& went, std::int64_t patch_size);

// A learner of the run's schedule, its learning rates times lr_ratio, with AdamW as the model's.
Learner network_learner(const std::string& name, std::vector<Parameter>& parameters,
                        const MaskContext& context, double lr_ratio = 1);

}  // namespace sgmae
