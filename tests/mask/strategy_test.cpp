// Oracle: properties of a permutation, and the uniform distribution.
#include "sgmae/mask/strategy.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <gtest/gtest.h>

#include <tuple>
#include <vector>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

Batch batch_of(std::vector<std::int64_t> index) {
  Batch batch;
  batch.index = std::move(index);
  return batch;
}

TEST(RandomPlan, OrdersEveryPatchOnce) {
  const MaskPlan plan = random_plan({5, 9, 1000000}, 196, 49, 1, 3);
  EXPECT_EQ(plan.n_visible, 49);
  EXPECT_EQ(plan.order.sizes(), at::IntArrayRef({3, 196}));
  const at::Tensor sorted = std::get<0>(plan.order.sort(1));
  EXPECT_TRUE(sorted.equal(at::arange(196, at::kLong).expand({3, 196})));
}

TEST(RandomPlan, DependsOnSeedEpochAndImageOnly) {
  const MaskPlan a = random_plan({5, 9}, 64, 16, 1, 3);
  const MaskPlan b = random_plan({9, 7, 5}, 64, 16, 1, 3);
  EXPECT_TRUE(a.order[0].equal(b.order[2]));
  EXPECT_TRUE(a.order[1].equal(b.order[0]));
  EXPECT_FALSE(a.order[0].equal(a.order[1]));
  EXPECT_FALSE(a.order.equal(random_plan({5, 9}, 64, 16, 2, 3).order));
  EXPECT_FALSE(a.order.equal(random_plan({5, 9}, 64, 16, 1, 4).order));
}

TEST(RandomPlan, ShowsEveryPatchAsOften) {
  std::vector<std::int64_t> index(4000);
  for (std::size_t i = 0; i < index.size(); ++i) index[i] = static_cast<std::int64_t>(i);
  const at::Tensor counts =
      random_plan(index, 16, 4, 0, 0).order.slice(1, 0, 4).flatten().bincount({}, 16);
  // Binomial(4000, 1/4): mean 1000, deviation 27; five deviations over 16 patches.
  EXPECT_GT(counts.min().item<std::int64_t>(), 1000 - 137);
  EXPECT_LT(counts.max().item<std::int64_t>(), 1000 + 137);
}

TEST(RandomPlan, RefusesToMaskAllOrNothing) {
  for (const std::int64_t visible : {0, 16, 17}) {
    try {
      random_plan({0}, 16, visible, 0, 0);
      FAIL() << visible;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ExitCode::usage);
    }
  }
}

TEST(RandomMask, IsTheRandomPlanOfTheMaskRatio) {
  RandomMask mask(196, 0.75, 11);
  const MaskPlan plan = mask.plan(batch_of({3, 4}), 2);
  EXPECT_EQ(plan.n_visible, 49);
  EXPECT_TRUE(plan.order.equal(random_plan({3, 4}, 196, 49, 11, 2).order));
  EXPECT_EQ(mask.plan(batch_of({}), 2).order.size(0), 0);
}

}  // namespace
}  // namespace sgmae
