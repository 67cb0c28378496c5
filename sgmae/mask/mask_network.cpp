#include "sgmae/mask/mask_network.h"

#include <cmath>
#include <memory>

#include "sgmae/mask/informed.h"
#include "sgmae/mask/plan_each.h"
#include "sgmae/nn/patches.h"
#include "sgmae/optim/adamw.h"

namespace sgmae {

Rng mask_stream(const MaskContext& context, std::int64_t epoch, std::int64_t index) {
  return Rng(context.seed, static_cast<std::uint64_t>(epoch), static_cast<std::uint64_t>(index),
             Purpose::mask);
}

MaskPlan highest_hidden(
    const std::vector<std::int64_t>& index, const MaskContext& context, std::int64_t epoch,
    const std::function<void(std::int64_t i, Rng& rng, std::span<float> scores)>& scores) {
  const std::int64_t n = context.model.config().n_patches();
  return plan_each(static_cast<std::int64_t>(index.size()), n, visible_count(n, context.mask_ratio),
                   [&](std::int64_t i, std::span<std::int64_t> order) {
                     Rng rng = mask_stream(context, epoch, index[static_cast<std::size_t>(i)]);
                     std::vector<float> scored(order.size());
                     scores(i, rng, scored);
                     for (float& score : scored)
                       if (!std::isfinite(score)) score = 0;
                     ranked_order(scored, rng, order);
                   });
}

at::Tensor visibility_gradient(const MaskFeedback& went, std::int64_t patch_size) {
  const at::Tensor pixels = send(went.batch.pixels, went.dpixels.device());
  const at::Tensor seen = mask_of(went.plan).neg_().add_(1);
  return patchify(went.dpixels.mul(pixels), patch_size).sum({2}).mul_(send(seen, pixels.device()));
}

Learner network_learner(const std::string& name, std::vector<Parameter>& parameters,
                        const MaskContext& context, double lr_ratio) {
  Learner learner;
  learner.name = name;
  learner.parameters = &parameters;
  learner.optimizer =
      std::make_unique<AdamW>(parameters, AdamWOptions{.weight_decay = context.optim.weight_decay});
  learner.schedule = schedule(context.optim);
  learner.schedule.peak_lr *= lr_ratio;
  learner.schedule.min_lr *= lr_ratio;
  learner.clip_grad = context.optim.clip_grad;
  return learner;
}

}  // namespace sgmae
