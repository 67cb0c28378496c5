#include "sgmae/mask/patch_error.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/roll.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "sgmae/mask/strategy.h"
#include "sgmae/nn/patches.h"

namespace sgmae {
namespace {

constexpr std::int64_t kMostMasks = 4;  // more of them change the ranking of patches little

// How the patches of a random order take turns.
struct Turns {
  std::int64_t masks, step;
};

Turns turns_of(std::int64_t n, std::int64_t n_visible) {
  const std::int64_t n_masked = n - n_visible;
  if (n_visible <= n_masked) return {std::min(kMostMasks, n / n_visible), n_visible};
  return {(n + n_masked - 1) / n_masked, n_masked};
}

}  // namespace

std::int64_t error_masks(std::int64_t n_patches, std::int64_t n_visible) {
  return turns_of(n_patches, n_visible).masks;
}

at::Tensor patch_errors(const Mae& model, const at::Tensor& pixels,
                        const std::vector<std::int64_t>& index, double mask_ratio,
                        std::uint64_t seed) {
  const std::int64_t n = model.config().n_patches();
  const MaskPlan first = random_plan(index, n, visible_count(n, mask_ratio), seed, 0);
  const Turns turns = turns_of(n, first.n_visible);
  at::Tensor total = at::zeros({pixels.size(0), n}, at::kFloat), times = at::zeros_like(total);
  for (std::int64_t turn = 0; turn < turns.masks; ++turn) {
    const MaskPlan plan{at::roll(first.order, turn * turns.step, 1), first.n_visible};
    const at::Tensor loss = model.forward(pixels, plan).patch_loss.to(at::kCPU);
    total.scatter_add_(1, plan.order.slice(1, plan.n_visible), loss);
    times += mask_of(plan);
  }
  return total / times;
}

at::Tensor hardest_quarter(const at::Tensor& errors) {
  const at::Tensor values = errors.to(at::kCPU, at::kFloat);
  const std::int64_t quarter = std::max<std::int64_t>(values.size(1) / 4, 1);
  const at::Tensor order = values.argsort(/*stable=*/true, /*dim=*/1, /*descending=*/true);
  at::Tensor hard = at::zeros(values.sizes(), at::kByte);
  hard.scatter_(1, order.slice(1, 0, quarter), 1);
  const at::Tensor tells =
      values.isfinite().all(1).logical_and(values.amax(1) > values.amin(1) * (1 + 1e-6));
  return hard * tells.unsqueeze(1).to(at::kByte);
}

at::Tensor patch_variance(const at::Tensor& pixels, std::int64_t patch_size) {
  return patchify(pixels, patch_size).var(-1, /*unbiased=*/false).to(at::kCPU, at::kFloat);
}

}  // namespace sgmae
