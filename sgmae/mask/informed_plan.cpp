#include "sgmae/mask/informed_plan.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sgmae/base/error.h"
#include "sgmae/mask/plan_each.h"
#include "sgmae/mask/strategy.h"

namespace sgmae {

MaskPlan informed_plan(const at::Tensor& relevance, const std::vector<std::int64_t>& index,
                       const InformedMasks& masks) {
  const std::int64_t batch = relevance.size(0), n = relevance.size(1);
  SGMAE_ASSERT(static_cast<std::int64_t>(index.size()) == batch);
  const at::Tensor values = relevance.contiguous();
  const float* const scores = values.const_data_ptr<float>();
  return plan_each(batch, n, masks.n_visible, [&](std::int64_t i, std::span<std::int64_t> order) {
    const std::span<const float> row(scores + i * n, order.size());
    if (std::all_of(row.begin(), row.end(), [](float s) { return std::isfinite(s); }))
      informed_order(row, masks.n_visible, masks.n_hints, masks.strategy, masks.target,
                     Rng(masks.seed, masks.epoch, index[i], Purpose::hint), order);
    else
      random_order(Rng(masks.seed, masks.epoch, index[i], Purpose::mask), order);
  });
}

MaskPlan informed_plan(const Guide& guide, std::int64_t n_visible, std::int64_t n_hints) {
  std::vector<std::int64_t> row(static_cast<std::size_t>(guide.relevance.size(0)));
  std::iota(row.begin(), row.end(), std::int64_t{0});
  return informed_plan(guide.relevance, row, {.n_visible = n_visible, .n_hints = n_hints});
}

}  // namespace sgmae
