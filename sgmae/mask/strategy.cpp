#include "sgmae/mask/strategy.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "sgmae/base/error.h"

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
  check(n_visible > 0 && n_visible < n_patches, ExitCode::usage, "masks would leave ", n_visible,
        " of ", n_patches,
        " patches visible; choose a mask_ratio that leaves at least one patch "
        "visible and one masked");
  const auto batch = static_cast<std::int64_t>(index.size());
  MaskPlan plan{at::empty({batch, n_patches}, at::kLong), n_visible};
  std::int64_t* const order = plan.order.data_ptr<std::int64_t>();
  at::parallel_for(0, batch, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      random_order(Rng(seed, epoch, index[i], Purpose::mask),
                   {order + i * n_patches, static_cast<std::size_t>(n_patches)});
  });
  return plan;
}

RandomMask::RandomMask(std::int64_t n_patches, double mask_ratio, std::uint64_t seed)
    : n_patches_(n_patches), mask_ratio_(mask_ratio), seed_(seed) {}

MaskPlan RandomMask::plan(const Batch& batch, std::int64_t epoch) {
  return random_plan(batch.index, n_patches_, visible_count(n_patches_, mask_ratio_), seed_, epoch);
}

}  // namespace sgmae
