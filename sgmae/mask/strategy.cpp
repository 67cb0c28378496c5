#include "sgmae/mask/strategy.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "sgmae/mask/informed.h"
#include "sgmae/mask/plan_each.h"

namespace sgmae {

void random_order(Rng rng, std::span<std::int64_t> order) {
  std::vector<double> noise(order.size());
  for (double& value : noise) value = rng.uniform();
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return noise[a] < noise[b]; });
}

MaskPlan random_plan(const std::vector<std::int64_t>& index, std::int64_t n_patches,
                     std::int64_t n_visible, std::uint64_t seed, std::int64_t epoch) {
  check_visible(n_visible, n_patches);
  return plan_each(static_cast<std::int64_t>(index.size()), n_patches, n_visible,
                   [&](std::int64_t image, std::span<std::int64_t> order) {
                     random_order(Rng(seed, epoch, index[image], Purpose::mask), order);
                   });
}

RandomMask::RandomMask(std::int64_t n_patches, double mask_ratio, std::uint64_t seed)
    : n_patches_(n_patches), mask_ratio_(mask_ratio), seed_(seed) {}

MaskPlan RandomMask::plan(const Batch& batch, std::int64_t epoch) {
  return random_plan(batch.index, n_patches_, visible_count(n_patches_, mask_ratio_), seed_, epoch);
}

}  // namespace sgmae
