#include "sgmae/mask/block_wise.h"

#include <algorithm>
#include <cmath>

#include "sgmae/mask/drawn_mask.h"

namespace sgmae {
namespace {

// Hides a block of that size at a place that is drawn. Returns how many patches were not hidden
// before; none, where they would be more than `most` or the grid is smaller, and nothing is done.
std::int64_t hide_block(GridSize grid, GridSize block, std::int64_t most, Rng& rng,
                        std::span<float> hidden) {
  if (block.rows > grid.rows || block.cols > grid.cols) return 0;
  const std::int64_t top = rng.below(grid.rows - block.rows + 1);
  const std::int64_t left = rng.below(grid.cols - block.cols + 1);
  const auto row = [&](std::int64_t i) {
    return hidden.subspan((top + i) * grid.cols + left, block.cols);
  };
  std::int64_t fresh = 0;
  for (std::int64_t i = 0; i < block.rows; ++i)
    fresh += std::count(row(i).begin(), row(i).end(), 0.0f);
  if (fresh > most) return 0;
  for (std::int64_t i = 0; i < block.rows; ++i) std::fill(row(i).begin(), row(i).end(), 1.0f);
  return fresh;
}

}  // namespace

std::unique_ptr<MaskStrategyOptions> BlockWiseOptions::clone() const {
  return std::make_unique<BlockWiseOptions>(*this);
}

void BlockWiseOptions::declare(Options& o) {
  o.add("block_wise_min_patches", min_patches, "smallest area of a block, in patches");
}

void BlockWiseOptions::check(bool) const {
  need(min_patches >= 1, str("block_wise_min_patches must be at least 1, but is ", min_patches));
}

std::unique_ptr<MaskStrategy> BlockWiseOptions::make(const MaskContext& context) const {
  return std::make_unique<DrawnMask>(
      [min = min_patches](GridSize grid, std::int64_t n_masked, Rng& rng, std::span<float> hidden) {
        draw_blocks(grid, n_masked, min, rng, hidden);
      },
      context);
}

void draw_blocks(GridSize grid, std::int64_t n_masked, std::int64_t min_patches, Rng& rng,
                 std::span<float> hidden) {
  constexpr int tries = 10;
  const double smallest = static_cast<double>(std::min(min_patches, n_masked));
  const double log_ratio = std::log(0.3);
  std::fill(hidden.begin(), hidden.end(), 0.0f);
  std::int64_t left = n_masked;
  for (int failed = 0; left > 0 && failed < tries;) {
    const double area = rng.uniform(smallest, static_cast<double>(left));
    const double ratio = std::exp(rng.uniform(log_ratio, -log_ratio));
    const std::int64_t fresh = hide_block(
        grid, {std::llround(std::sqrt(area * ratio)), std::llround(std::sqrt(area / ratio))}, left,
        rng, hidden);
    left -= fresh;
    failed = fresh > 0 ? 0 : failed + 1;
  }
}

}  // namespace sgmae
