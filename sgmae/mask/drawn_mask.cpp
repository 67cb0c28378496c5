#include "sgmae/mask/drawn_mask.h"

#include <utility>
#include <vector>

#include "sgmae/mask/informed.h"
#include "sgmae/mask/plan_each.h"

namespace sgmae {

DrawnMask::DrawnMask(DrawScores draw, const MaskContext& context)
    : draw_(std::move(draw)),
      grid_{context.model.config().grid_height(), context.model.config().grid_width()},
      n_visible_(some_visible(context.model.config().n_patches(), context.mask_ratio)),
      seed_(context.seed) {}

MaskPlan DrawnMask::plan(const Batch& batch, std::int64_t epoch) {
  const std::int64_t n = grid_.rows * grid_.cols;
  return plan_each(batch.size(), n, n_visible_,
                   [&](std::int64_t image, std::span<std::int64_t> order) {
                     Rng rng(seed_, epoch, batch.index[image], Purpose::mask);
                     std::vector<float> score(order.size());
                     draw_(grid_, n - n_visible_, rng, score);
                     ranked_order(score, rng, order);
                   });
}

}  // namespace sgmae
