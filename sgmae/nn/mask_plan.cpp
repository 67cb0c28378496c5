#include "sgmae/nn/mask_plan.h"

#include <ATen/ops/ones.h>

#include "sgmae/base/error.h"

namespace sgmae {

std::int64_t visible_count(std::int64_t n_patches, double mask_ratio) {
  return static_cast<std::int64_t>(static_cast<double>(n_patches) * (1.0 - mask_ratio));
}

PatchCounts patch_counts(std::int64_t n_patches, double mask_ratio, double thrown_ratio) {
  const auto thrown = static_cast<std::int64_t>(static_cast<double>(n_patches) * thrown_ratio);
  return {visible_count(n_patches, mask_ratio) - thrown, thrown};
}

at::Tensor MaskPlan::masked() const {
  return order.narrow(1, n_visible, n_masked()).contiguous();
}

at::Tensor mask_of(const MaskPlan& plan) {
  const auto visible = plan.order.narrow(1, 0, plan.n_visible);
  return at::ones(plan.order.sizes(), at::kFloat).scatter_(1, visible, 0.0);
}

}  // namespace sgmae
