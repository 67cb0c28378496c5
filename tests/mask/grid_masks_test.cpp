// Oracle: which place of its cell, or square of which colour, each visible patch is.
#include "sgmae/mask/grid_masks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>
#include <vector>

#include "tests/mask/tiny_context.h"

namespace sgmae {
namespace {

std::vector<std::int64_t> visible_patches(const MaskPlan& plan, std::int64_t image) {
  const std::int64_t* order = plan.order[image].const_data_ptr<std::int64_t>();
  return {order, order + plan.n_visible};
}

int place(std::int64_t patch) {
  return static_cast<int>(2 * (patch / 4 % 2) + patch % 2);
}

int colour(std::int64_t patch) {
  return static_cast<int>((patch / 4 + patch) % 2);
}

TEST(GridMask, LeavesTheSamePlaceOfEveryCell) {
  TinyContext tiny;
  const auto mask = GridMaskOptions().make(tiny.context());
  const Batch batch = tiny.batch(0);
  const MaskPlan plan = mask->plan(batch, 0);
  expect_whole(plan, 16, 4);
  std::set<int> places;
  for (std::int64_t i = 0; i < batch.size(); ++i) {
    std::set<int> own;
    for (const std::int64_t patch : visible_patches(plan, i)) own.insert(place(patch));
    EXPECT_EQ(own.size(), 1u);
    places.insert(own.begin(), own.end());
  }
  EXPECT_EQ(places.size(), 4u) << "each in its turn";
}

TEST(GridMask, FillsPlaceAfterPlaceAtOtherRatios) {
  TinyContext tiny;
  const std::vector<std::pair<double, std::array<int, 4>>> wanted{
      {0.9, {0, 0, 0, 1}}, {0.6, {0, 0, 2, 4}}, {0.2, {0, 4, 4, 4}}};
  for (const auto& [ratio, counts] : wanted) {
    MaskContext context = tiny.context();
    context.mask_ratio = ratio;
    const Batch batch = tiny.batch(1);
    const MaskPlan plan = GridMaskOptions().make(context)->plan(batch, 1);
    expect_whole(plan, 16, visible_count(16, ratio));
    for (std::int64_t i = 0; i < batch.size(); ++i) {
      std::array<int, 4> seen{};
      for (const std::int64_t patch : visible_patches(plan, i)) ++seen[place(patch)];
      std::sort(seen.begin(), seen.end());
      EXPECT_EQ(seen, counts) << ratio;
    }
  }
}

TEST(GridMask, TakesGridsOfOddSides) {
  std::vector<float> turn(15);
  Rng rng(1, 0, 0, Purpose::mask);
  draw_cells({3, 5}, rng, turn);
  for (int row = 0; row < 3; ++row)
    for (int column = 0; column < 5; ++column)
      EXPECT_EQ(turn[row * 5 + column], turn[row % 2 * 5 + column % 2]);
  EXPECT_EQ(std::set<float>(turn.begin(), turn.end()), (std::set<float>{0, 1, 2, 3}));
}

TEST(Checkerboard, IsOfOneColour) {
  TinyContext tiny;
  const auto mask = CheckerboardOptions().make(tiny.context());
  const Batch batch = tiny.batch(0);
  const MaskPlan plan = mask->plan(batch, 0);
  expect_whole(plan, 16, 4);
  std::set<int> colours;
  std::set<std::vector<std::int64_t>> masks;
  for (std::int64_t i = 0; i < batch.size(); ++i) {
    std::set<int> own;
    for (const std::int64_t patch : visible_patches(plan, i)) own.insert(colour(patch));
    EXPECT_EQ(own.size(), 1u);
    colours.insert(own.begin(), own.end());
    masks.insert(visible_patches(plan, i));
  }
  EXPECT_EQ(colours.size(), 2u);
  EXPECT_GT(masks.size(), 12u) << "which of its squares is drawn";
}

TEST(Checkerboard, SeesAllOfOneColourAndSomeOfTheOtherAtLowRatios) {
  TinyContext tiny;
  MaskContext context = tiny.context();
  context.mask_ratio = 0.3;
  const MaskPlan plan = CheckerboardOptions().make(context)->plan(tiny.batch(0), 0);
  expect_whole(plan, 16, 11);
  for (std::int64_t i = 0; i < 3; ++i) {
    std::array<int, 2> seen{};
    for (const std::int64_t patch : visible_patches(plan, i)) ++seen[colour(patch)];
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(seen, (std::array<int, 2>{3, 8}));
  }
}

}  // namespace
}  // namespace sgmae
