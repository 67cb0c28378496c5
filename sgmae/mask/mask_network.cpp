#include "sgmae/mask/mask_network.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <cmath>
#include <memory>

#include "sgmae/mask/informed.h"
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
  const auto batch = static_cast<std::int64_t>(index.size());
  const std::int64_t n = context.model.config().n_patches();
  MaskPlan plan{at::empty({batch, n}, at::kLong), visible_count(n, context.mask_ratio)};
  std::int64_t* const orders = plan.order.data_ptr<std::int64_t>();
  at::parallel_for(0, batch, 8, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> scored(static_cast<std::size_t>(n));
    for (std::int64_t i = begin; i < end; ++i) {
      Rng rng = mask_stream(context, epoch, index[static_cast<std::size_t>(i)]);
      scores(i, rng, scored);
      for (float& score : scored)
        if (!std::isfinite(score)) score = 0;
      informed_order(scored, plan.n_visible, /*n_hints=*/0, HintStrategy::none, GuideTarget::object,
                     rng, {orders + i * n, static_cast<std::size_t>(n)});
    }
  });
  return plan;
}

at::Tensor visibility_gradient(const MaskFeedback& went, std::int64_t patch_size) {
  const at::Tensor pixels = send(went.batch.pixels, went.dpixels.device());
  const at::Tensor seen = mask_of(went.plan).neg_().add_(1);
  return patchify(went.dpixels.mul(pixels), patch_size).sum({2}).mul_(send(seen, pixels.device()));
}

void check_mask_ratio(const MaskContext& context) {
  const std::int64_t n = context.model.config().n_patches();
  check_hints({.strategy = HintStrategy::none}, n, visible_count(n, context.mask_ratio));
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
