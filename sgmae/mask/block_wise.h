// Block-wise masking (Bao et al., BEiT, ICLR 2022, algorithm 1): rectangles of patches are hidden
// until enough are.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "sgmae/base/rng.h"
#include "sgmae/mask/strategy.h"

namespace sgmae {

struct BlockWiseOptions : MaskStrategyOptions {
  std::int64_t min_patches = 16;  // of a block

  std::unique_ptr<MaskStrategyOptions> clone() const override;
  void declare(Options& options) override;
  void check(bool probed) const override;
  std::int64_t random_epochs(std::int64_t) const override { return 0; }
  std::unique_ptr<MaskStrategy> make(const MaskContext& context) const override;
};

// Writes 1 for patches in blocks, else 0. The area of a block is uniform between min_patches (of
// n_masked at most) and the patches left to hide, even where these are fewer; its sides' ratio is
// log-uniform in 0.3 .. 1/0.3. Blocks overlap, but none hides more than is left. After ten in a row
// that do not fit it ends, with n_masked ones or fewer.
void draw_blocks(GridSize grid, std::int64_t n_masked, std::int64_t min_patches, Rng& rng,
                 std::span<float> hidden);

}  // namespace sgmae
