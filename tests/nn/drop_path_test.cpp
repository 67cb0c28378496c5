// Oracle: the linear law of rates and binomial counts. That branches are multiplied and their
// gradients follow is in vit_training_test.
#include "sgmae/nn/drop_path.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace sgmae {
namespace {

TEST(DropPath, RateRisesLinearlyAndSurvivorsAreDividedByTheirProbability) {
  constexpr std::int64_t images = 4000, depth = 5;
  std::vector<std::int64_t> index(images);
  std::iota(index.begin(), index.end(), 0);
  const std::vector<DropPath> plan = draw_drop_path(1, 2, index, depth, 0.4);
  ASSERT_EQ(plan.size(), 5u);
  EXPECT_FALSE(plan[0].attention.defined()) << "nothing to drop in the first block";
  for (std::size_t i = 1; i < plan.size(); ++i) {
    const double rate = 0.1 * static_cast<double>(i);
    for (const at::Tensor& branch : {plan[i].attention, plan[i].mlp}) {
      const float* factor = branch.const_data_ptr<float>();
      std::int64_t dropped = 0;
      for (std::int64_t b = 0; b < images; ++b) {
        dropped += factor[b] == 0;
        if (factor[b] == 0) continue;
        EXPECT_FLOAT_EQ(factor[b], static_cast<float>(1 / (1 - rate)));
      }
      EXPECT_NEAR(dropped, rate * images, 5 * std::sqrt(images * rate * (1 - rate)));
    }
    EXPECT_FALSE(at::equal(plan[i].attention, plan[i].mlp)) << "branches are dropped separately";
  }
}

TEST(DropPath, AnImagesDrawsDoNotDependOnItsBatch) {
  const auto one = draw_drop_path(1, 2, {5, 9, 70}, 3, 0.5);
  const auto other = draw_drop_path(1, 2, {9}, 3, 0.5);
  for (std::size_t i = 1; i < 3; ++i) {
    EXPECT_EQ(one[i].attention[1].item<float>(), other[i].attention[0].item<float>());
    EXPECT_EQ(one[i].mlp[1].item<float>(), other[i].mlp[0].item<float>());
  }
}

TEST(DropPath, RateZeroDropsNothing) {
  EXPECT_TRUE(draw_drop_path(1, 0, {0, 1}, 12, 0).empty());
}

}  // namespace
}  // namespace sgmae
