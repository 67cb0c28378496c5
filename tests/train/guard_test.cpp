// Oracle: sequences whose verdicts follow from the definition.
#include "sgmae/train/guard.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sgmae/base/error.h"
#include "sgmae/base/rng.h"

namespace sgmae {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

// A guard that has seen `count` ordinary steps: loss about 0.5, gradient norm about 1.
StepGuard settled(int count = 100) {
  StepGuard guard(6);
  Rng rng(1, 0, 0, Purpose::probe);
  for (int i = 0; i < count; ++i)
    guard.judge(0.5 + 0.01 * rng.normal(), std::exp(0.2 * rng.normal()));
  return guard;
}

TEST(StepGuard, AcceptsOrdinarySteps) {
  StepGuard guard(6);
  Rng rng(2, 0, 0, Purpose::probe);
  for (int i = 0; i < 5000; ++i) {  // a falling loss with noise, as in training
    const double level = 0.4 + 0.6 * std::exp(-i / 300.0);
    EXPECT_EQ(guard.judge(level + 0.01 * rng.normal(), std::exp(0.3 * rng.normal())),
              StepVerdict::good)
        << i;
  }
  EXPECT_EQ(guard.skipped(), 0);
}

TEST(StepGuard, SkipsWhatIsNotFinite) {
  StepGuard guard(0);
  EXPECT_EQ(guard.judge(nan, 1), StepVerdict::not_finite);
  EXPECT_EQ(guard.judge(0.5, infinity), StepVerdict::not_finite);
  EXPECT_EQ(guard.judge(0.5, nan), StepVerdict::not_finite);
  EXPECT_EQ(guard.judge(0.5, 1), StepVerdict::good);
  EXPECT_EQ(guard.skipped(), 3);
}

TEST(StepGuard, SkipsASpikeOfLossOrOfGradientNorm) {
  StepGuard guard = settled();
  EXPECT_EQ(guard.judge(0.8, 1), StepVerdict::outlier);
  EXPECT_EQ(guard.judge(0.5, 100), StepVerdict::outlier);
  EXPECT_EQ(guard.judge(0.5, 1), StepVerdict::good);
  EXPECT_EQ(guard.judge(0.2, 0.01), StepVerdict::good) << "only upward is bad";
}

TEST(StepGuard, SaysNothingBeforeItKnowsTheLevel) {
  StepGuard guard = settled(RecentValues::needed - 1);
  EXPECT_EQ(guard.judge(50, 1000), StepVerdict::good);
}

TEST(StepGuard, AcceptsALastingChangeOfLevel) {
  StepGuard guard = settled(128);
  int skipped = 0;
  for (int i = 0; i < 20; ++i) skipped += guard.judge(0.7, 1) != StepVerdict::good;
  EXPECT_GE(skipped, 1);
  EXPECT_LE(skipped, 4);
  EXPECT_FALSE(guard.spoiled());
}

TEST(StepGuard, CallsWeightsSpoiledAfterManyBadStepsInARow) {
  StepGuard guard = settled();
  for (int i = 1; i < StepGuard::spoiled_after; ++i) guard.judge(nan, nan);
  EXPECT_FALSE(guard.spoiled());
  StepGuard mended = guard;
  mended.judge(0.5, 1);
  mended.judge(nan, nan);
  EXPECT_FALSE(mended.spoiled()) << "a good step between starts the count anew";
  guard.judge(nan, nan);
  EXPECT_TRUE(guard.spoiled());
}

TEST(StepGuard, AnExplodingLossSpoils) {
  StepGuard guard = settled();
  double loss = 0.5;
  for (int i = 0; i < StepGuard::spoiled_after; ++i) guard.judge(loss *= 10, 1);
  EXPECT_TRUE(guard.spoiled());
}

TEST(StepGuard, ForgettingOpensItToANewLevel) {
  StepGuard guard = settled();
  guard.forget();
  EXPECT_EQ(guard.judge(0.9, 1), StepVerdict::good);
}

TEST(StepGuard, StateGoesThroughTextExactly) {
  StepGuard guard = settled(), copy(6);
  guard.judge(nan, 1);
  copy.restore(nlohmann::json::parse(guard.state().dump()));
  EXPECT_EQ(copy.state(), guard.state());
  EXPECT_EQ(copy.skipped(), 1);
}

TEST(RollbackLimit, EndsWhatDivergesTwiceFromTheSamePlace) {
  RollbackLimit limit;
  limit.count("epoch-0004", "epoch 4, step 8", "lower --blr");
  limit.count("epoch-0008", "epoch 9, step 8", "lower --blr");
  try {
    EXPECT_FALSE(limit.reached("epoch-0006"));
    limit.count("epoch-0006", "epoch 8, step 1", "lower --blr");  // the one before, in between
    EXPECT_TRUE(limit.reached("epoch-0008"));
    limit.count("epoch-0008", "epoch 8, step 2", "lower --blr");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::diverged);
    EXPECT_STREQ(error.what(),
                 "training diverged twice after epoch-0008 (epoch 8, step 2); lower --blr");
  }
}

TEST(OrderSeed, IsTheRunsOwnUntilARollback) {
  EXPECT_EQ(order_seed(7, 0), 7u);
  EXPECT_NE(order_seed(7, 1), 7u);
  EXPECT_NE(order_seed(7, 2), order_seed(7, 1));
}

}  // namespace
}  // namespace sgmae
