// A masking strategy turns a batch into a MaskPlan. A new one is one file, a name among the options
// (train/options) and a branch in Guidance::make_strategy (train/guidance).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sgmae/base/rng.h"
#include "sgmae/data/batch.h"
#include "sgmae/nn/mask_plan.h"

namespace sgmae {

class MaskStrategy {
 public:
  virtual ~MaskStrategy() = default;
  // `epoch` counts from 0. Must depend only on the batch, the epoch and the strategy's own state.
  virtual MaskPlan plan(const Batch& batch, std::int64_t epoch) = 0;
};

// Writes an order [N] by ascending uniform noise (MAE's random masking; every order is as likely).
void random_order(Rng rng, std::span<std::int64_t> order);

// Random orders for the images at positions `index` of the data set, each keyed by (seed, epoch,
// position). Throws Error(usage) unless something stays visible and something is masked.
MaskPlan random_plan(const std::vector<std::int64_t>& index, std::int64_t n_patches,
                     std::int64_t n_visible, std::uint64_t seed, std::int64_t epoch);

// MAE's masking.
class RandomMask : public MaskStrategy {
 public:
  RandomMask(std::int64_t n_patches, double mask_ratio, std::uint64_t seed);
  MaskPlan plan(const Batch& batch, std::int64_t epoch) override;

 private:
  std::int64_t n_patches_;
  double mask_ratio_;
  std::uint64_t seed_;
};

}  // namespace sgmae
