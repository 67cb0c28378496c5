#include "sgmae/mask/grid_masks.h"

#include <vector>

#include "sgmae/mask/drawn_mask.h"

namespace sgmae {

std::unique_ptr<MaskStrategyOptions> GridMaskOptions::clone() const {
  return std::make_unique<GridMaskOptions>(*this);
}

std::unique_ptr<MaskStrategy> GridMaskOptions::make(const MaskContext& context) const {
  return std::make_unique<DrawnMask>([](GridSize grid, std::int64_t, Rng& rng,
                                        std::span<float> turn) { draw_cells(grid, rng, turn); },
                                     context);
}

std::unique_ptr<MaskStrategyOptions> CheckerboardOptions::clone() const {
  return std::make_unique<CheckerboardOptions>(*this);
}

std::unique_ptr<MaskStrategy> CheckerboardOptions::make(const MaskContext& context) const {
  return std::make_unique<DrawnMask>(
      [](GridSize grid, std::int64_t, Rng& rng, std::span<float> turn) {
        draw_checkerboard(grid, rng, turn);
      },
      context);
}

void draw_cells(GridSize grid, Rng& rng, std::span<float> turn) {
  const std::vector<std::int64_t> turns = rng.permutation(4);  // of the places in a cell
  for (std::int64_t row = 0; row < grid.rows; ++row)
    for (std::int64_t column = 0; column < grid.cols; ++column)
      turn[row * grid.cols + column] = static_cast<float>(turns[2 * (row % 2) + column % 2]);
}

void draw_checkerboard(GridSize grid, Rng& rng, std::span<float> turn) {
  const std::int64_t first = rng.below(2);
  for (std::int64_t row = 0; row < grid.rows; ++row)
    for (std::int64_t column = 0; column < grid.cols; ++column)
      turn[row * grid.cols + column] = (row + column) % 2 == first ? 0.0f : 1.0f;
}

}  // namespace sgmae
