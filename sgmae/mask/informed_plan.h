// Masks of a batch from the relevance of its patches.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "sgmae/mask/guide.h"
#include "sgmae/mask/informed.h"

namespace sgmae {

struct InformedMasks {
  std::int64_t n_visible = 0, n_hints = 0;
  HintStrategy strategy = HintStrategy::random;
  GuideTarget target = GuideTarget::object;
  std::uint64_t seed = 0;
  std::int64_t epoch = 0;
};

// Informed orders (mask/informed.h) of the images at positions `index` from their relevance [B, N]
// fp32 on the CPU, each keyed by (seed, epoch, position). A row that is not finite, as of a
// degenerate image, gets the order of random_plan().
MaskPlan informed_plan(const at::Tensor& relevance, const std::vector<std::int64_t>& index,
                       const InformedMasks& masks);
// The same for a guide, keyed by position in the batch: visible are the least relevant patches and
// n_hints hints among the others.
MaskPlan informed_plan(const Guide& guide, std::int64_t n_visible, std::int64_t n_hints);

}  // namespace sgmae
