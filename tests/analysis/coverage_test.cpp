// Oracles: boxes and sides small enough to work out by hand; for the AUC, all pairs of pixels.
#include "sgmae/analysis/coverage.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>

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

// Every pixel of one against every pixel of the other, with `parts` pixels a patch.
double auc_of_pixels(const std::vector<float>& relevance, const std::vector<int>& object,
                     int parts) {
  double won = 0, pairs = 0;
  for (std::size_t i = 0; i < relevance.size(); ++i)
    for (std::size_t j = 0; j < relevance.size(); ++j) {
      const double count = static_cast<double>(object[i]) * (parts - object[j]);
      pairs += count;
      won += count * (relevance[i] > relevance[j] ? 1 : relevance[i] == relevance[j] ? 0.5 : 0);
    }
  return won / pairs;
}

TEST(RelevanceAuc, IsThatOverPixels) {
  std::mt19937 rng(3);
  constexpr int parts = 16;
  for (int trial = 0; trial < 50; ++trial) {
    std::vector<float> relevance, cover;
    std::vector<int> object;
    for (int i = 0; i < 40; ++i) {
      // Few levels, so that there are ties, some across signs of zero.
      relevance.push_back(static_cast<float>(static_cast<int>(rng() % 9) - 4) * 0.25f);
      if (relevance.back() == 0 && rng() % 2) relevance.back() = -0.0f;
      object.push_back(static_cast<int>(rng() % (parts + 1)));
      cover.push_back(static_cast<float>(object.back()) / parts);
    }
    EXPECT_NEAR(relevance_auc(relevance, cover), auc_of_pixels(relevance, object, parts), 1e-12);
  }
}

TEST(RelevanceAuc, OfPerfectReversedAndConstantRelevance) {
  const std::vector<float> cover{1, 1, 0, 0};
  EXPECT_EQ(relevance_auc(std::vector<float>{4, 3, 2, 1}, cover), 1);
  EXPECT_EQ(relevance_auc(std::vector<float>{1, 2, 3, 4}, cover), 0);
  EXPECT_EQ(relevance_auc(std::vector<float>(4, 7.0f), cover), 0.5);
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(relevance_auc(std::vector<float>{infinity, infinity, 2, -infinity}, cover), 1);
}

TEST(RelevanceAuc, IsNothingWithoutObjectBackgroundOrRelevance) {
  const std::vector<float> relevance{1, 2, 3};
  EXPECT_TRUE(std::isnan(relevance_auc(relevance, std::vector<float>(3, 0.0f))));
  EXPECT_TRUE(std::isnan(relevance_auc(relevance, std::vector<float>(3, 1.0f))));
  EXPECT_TRUE(std::isnan(
      relevance_auc(std::vector<float>{1, std::nanf(""), 3}, std::vector<float>{0, 0.5f, 1})));
  EXPECT_TRUE(std::isnan(relevance_auc({}, {})));
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
