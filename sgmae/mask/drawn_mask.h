// Masks that owe nothing to the image, but have a shape.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "sgmae/base/rng.h"
#include "sgmae/mask/strategy.h"

namespace sgmae {

// Writes a score [N] for every patch, rows of grid.cols. The n_masked of the highest scores are
// masked, equal ones in random order.
using DrawScores =
    std::function<void(GridSize grid, std::int64_t n_masked, Rng& rng, std::span<float> score)>;

class DrawnMask : public MaskStrategy {
 public:
  // Throws Error(usage) unless something stays visible and something is masked.
  DrawnMask(DrawScores draw, const MaskContext& context);
  MaskPlan plan(const Batch& batch, std::int64_t epoch) override;

 private:
  DrawScores draw_;
  GridSize grid_;
  std::int64_t n_visible_;
  std::uint64_t seed_;
};

}  // namespace sgmae
