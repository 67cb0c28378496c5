#include "sgmae/mask/plan_each.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "sgmae/mask/informed.h"

namespace sgmae {

std::int64_t some_visible(std::int64_t n_patches, double mask_ratio) {
  const std::int64_t n_visible = visible_count(n_patches, mask_ratio);
  check_visible(n_visible, n_patches);
  return n_visible;
}

MaskPlan plan_each(std::int64_t images, std::int64_t n_patches, std::int64_t n_visible,
                   const WriteOrder& write) {
  MaskPlan plan{at::empty({images, n_patches}, at::kLong), n_visible};
  std::int64_t* const orders = plan.order.data_ptr<std::int64_t>();
  at::parallel_for(0, images, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      write(i, {orders + i * n_patches, static_cast<std::size_t>(n_patches)});
  });
  return plan;
}

}  // namespace sgmae
