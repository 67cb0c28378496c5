// Oracle: the rectangles that a mask of ones is made of, found by trying all.
#include "sgmae/mask/block_wise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/mask/tiny_context.h"
#include "tests/support/errors.h"

namespace sgmae {
namespace {

constexpr GridSize kGrid{14, 14};

std::vector<float> blocks(std::int64_t n_masked, std::int64_t min, std::uint64_t image,
                          GridSize grid = kGrid) {
  std::vector<float> hidden(grid.rows * grid.cols, -1);
  Rng rng(1, 2, image, Purpose::mask);
  draw_blocks(grid, n_masked, min, rng, hidden);
  return hidden;
}

// The patches that lie in some rectangle of ones of at least `area` patches.
std::int64_t in_rectangles(const std::vector<float>& hidden, std::int64_t area) {
  std::vector<char> covered(hidden.size(), 0);
  for (int top = 0; top < 14; ++top)
    for (int left = 0; left < 14; ++left)
      for (int bottom = top; bottom < 14; ++bottom)
        for (int right = left; right < 14; ++right) {
          if ((bottom - top + 1) * (right - left + 1) < area) continue;
          bool ones = true;
          for (int r = top; ones && r <= bottom; ++r)
            for (int c = left; ones && c <= right; ++c) ones = hidden[r * 14 + c] == 1;
          for (int r = top; ones && r <= bottom; ++r)
            for (int c = left; c <= right; ++c) covered[r * 14 + c] = 1;
        }
  return std::count(covered.begin(), covered.end(), 1);
}

TEST(DrawBlocks, AreLargeRectanglesThatHideNoMoreThanIsAsked) {
  for (std::uint64_t image = 0; image < 50; ++image) {
    const std::vector<float> hidden = blocks(/*n_masked=*/78, /*min=*/16, image);
    const auto ones = std::count(hidden.begin(), hidden.end(), 1.0f);
    EXPECT_EQ(ones + std::count(hidden.begin(), hidden.end(), 0.0f), 196);
    EXPECT_LE(ones, 78);
    EXPECT_GT(ones, 78 - 16) << "a block of 16 would still fit";
    // Sides are rounded: 2 x 6 is the least for an area of 16. The last blocks may be smaller.
    EXPECT_GT(in_rectangles(hidden, 12), ones - 16);
  }
}

TEST(DrawBlocks, HaveSidesWithinTheRatio) {
  int wide = 0, high = 0;
  for (std::uint64_t image = 0; image < 400; ++image) {
    const std::vector<float> hidden = blocks(30, 30, image);
    // The first block, of 30 patches or near it, stands alone where it hid all but a few.
    int top = 14, bottom = -1, left = 14, right = -1;
    for (int i = 0; i < 196; ++i)
      if (hidden[i] == 1) {
        top = std::min(top, i / 14), bottom = std::max(bottom, i / 14);
        left = std::min(left, i % 14), right = std::max(right, i % 14);
      }
    const int rows = bottom - top + 1, columns = right - left + 1;
    if (rows * columns != std::count(hidden.begin(), hidden.end(), 1.0f)) continue;
    EXPECT_GE(rows, 3);  // sqrt(30 * 0.3) = 3
    EXPECT_LE(rows, 10);
    EXPECT_GE(columns, 3);
    EXPECT_LE(columns, 10);
    wide += columns > rows;
    high += rows > columns;
  }
  EXPECT_GT(wide, 30);
  EXPECT_GT(high, 30);
}

TEST(DrawBlocks, EndOnAGridThatFitsNone) {
  const std::vector<float> hidden = blocks(30, 30, 0, {1, 40});
  EXPECT_EQ(std::count(hidden.begin(), hidden.end(), 0.0f), 40);
}

TEST(BlockWise, MasksExactlyAsManyAsAsked) {
  TinyContext tiny;
  const auto mask = BlockWiseOptions().make(tiny.context());
  const Batch batch = tiny.batch(5);
  const MaskPlan plan = mask->plan(batch, 5);
  expect_whole(plan, TinyContext::patches, TinyContext::visible);
  for (std::int64_t i = 0; i < batch.size(); ++i) {
    const std::vector<float> hidden = [&] {
      std::vector<float> drawn(16);
      Rng rng(TinyContext::seed, 5, batch.index[i], Purpose::mask);
      draw_blocks({4, 4}, 12, 16, rng, drawn);
      return drawn;
    }();
    for (std::int64_t k = 0; k < plan.n_visible; ++k)
      EXPECT_EQ(hidden[plan.order[i][k].item<std::int64_t>()], 0) << "no block is seen";
  }
  EXPECT_TRUE(mask->plan(batch, 5).order.equal(plan.order));
  EXPECT_FALSE(mask->plan(batch, 6).order.equal(plan.order));
}

TEST(BlockWise, RefusesBlocksOfNothing) {
  BlockWiseOptions options;
  options.min_patches = 0;
  EXPECT_NE(error_of(ExitCode::usage, [&] { options.check(false); }).find("block_wise_min_patches"),
            std::string::npos);
  TinyContext tiny;
  MaskContext context = tiny.context();
  context.mask_ratio = 0.99;
  EXPECT_NE(error_of(ExitCode::usage, [&] { BlockWiseOptions().make(context); })
                .find("choose a mask_ratio"),
            std::string::npos);
}

}  // namespace
}  // namespace sgmae
