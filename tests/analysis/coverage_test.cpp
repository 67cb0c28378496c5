// Oracles: boxes and sides small enough to work out by hand.
#include "sgmae/analysis/coverage.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace sgmae {
namespace {

TEST(BoxCover, CountsOverlapsOnceAndClipsAtTheImage) {
  const std::vector<GridBox> boxes{{0.5, 0, 2, 1}, {1, 0, 3, 1}, {2.5, 1.5, 9, 9}};
  const std::vector<float> cover = box_cover(boxes, 2, 3);
  const std::vector<float> expected{0.5f, 1, 1, 0, 0, 0.25f};
  ASSERT_EQ(cover.size(), expected.size());
  for (std::size_t i = 0; i < cover.size(); ++i) EXPECT_FLOAT_EQ(cover[i], expected[i]) << i;
  EXPECT_EQ(box_cover({}, 2, 2), std::vector<float>(4, 0.0f));
}

TEST(SideIou, IsOfAreas) {
  const std::vector<std::uint8_t> side{1, 1, 0, 0};
  EXPECT_DOUBLE_EQ(side_iou(side, std::vector<float>{1, 1, 0, 0}), 1);
  EXPECT_DOUBLE_EQ(side_iou(side, std::vector<float>{0, 0, 1, 1}), 0);
  EXPECT_DOUBLE_EQ(side_iou(side, std::vector<float>{0, 0.5f, 0.5f, 0}), 0.5 / 2.5);
  EXPECT_DOUBLE_EQ(side_iou(std::vector<std::uint8_t>(4, 0), std::vector<float>(4, 0.0f)), 0);
}

TEST(HiddenShare, WeighsPatchesByTheirPartOfTheObject) {
  const std::vector<float> masked{1, 0, 1, 0};
  EXPECT_DOUBLE_EQ(hidden_share(masked, std::vector<float>{1, 0.5f, 0.5f, 0}), 0.75);
  EXPECT_TRUE(std::isnan(hidden_share(masked, std::vector<float>(4, 0.0f))));
}

TEST(SeedBox, IsOfTheConnectedPartOnly) {
  const std::vector<std::uint8_t> side{1, 0, 0, 1,   //
                                       0, 1, 1, 0,   //
                                       0, 0, 1, 0};  // corners touch only diagonally
  const auto box = seed_box(side, 6, 4);
  ASSERT_TRUE(box.has_value());
  EXPECT_EQ(box->left, 1);
  EXPECT_EQ(box->top, 1);
  EXPECT_EQ(box->right, 3);
  EXPECT_EQ(box->bottom, 3);
  const auto corner = seed_box(side, 3, 4);
  ASSERT_TRUE(corner.has_value());
  EXPECT_EQ(corner->left, 3);
  EXPECT_EQ(corner->bottom, 1);
  EXPECT_FALSE(seed_box(side, 1, 4).has_value());
}

TEST(BoxIou, OfOverlappingTouchingAndEmptyBoxes) {
  EXPECT_DOUBLE_EQ(box_iou({0, 0, 2, 2}, {1, 0, 3, 2}), 2.0 / 6);
  EXPECT_DOUBLE_EQ(box_iou({0, 0, 2, 2}, {0, 0, 2, 2}), 1);
  EXPECT_DOUBLE_EQ(box_iou({0, 0, 1, 1}, {1, 0, 2, 1}), 0);
  EXPECT_DOUBLE_EQ(box_iou({}, {}), 0);
}

}  // namespace
}  // namespace sgmae
