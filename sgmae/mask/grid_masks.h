// Regular masks: MAE's grid-wise sampling (He et al. 2022, section 4.1 and Fig. 6) and the
// checkerboard.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "sgmae/base/rng.h"
#include "sgmae/mask/strategy.h"

namespace sgmae {

struct GridMaskOptions : MaskStrategyOptions {
  std::unique_ptr<MaskStrategyOptions> clone() const override;
  std::int64_t random_epochs(std::int64_t) const override { return 0; }
  std::unique_ptr<MaskStrategy> make(const MaskContext& context) const override;
};

struct CheckerboardOptions : MaskStrategyOptions {
  std::unique_ptr<MaskStrategyOptions> clone() const override;
  std::int64_t random_epochs(std::int64_t) const override { return 0; }
  std::unique_ptr<MaskStrategy> make(const MaskContext& context) const override;
};

// Writes for every patch when its place in its cell of 2 x 2 patches becomes visible, 0 .. 3; which
// place when is drawn. At 75 % the first place is visible in all cells, and nothing else.
void draw_cells(GridSize grid, Rng& rng, std::span<float> turn);

// Writes 0 for the squares of the colour that is visible first, which is drawn, 1 for the others.
void draw_checkerboard(GridSize grid, Rng& rng, std::span<float> turn);

}  // namespace sgmae
