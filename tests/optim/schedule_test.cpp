// Oracle: closed forms at the points where the schedule has simple values.
#include "sgmae/optim/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sgmae {
namespace {

const Schedule paper{.peak_lr = 2.4e-3, .min_lr = 0, .warmup_epochs = 40, .epochs = 400};

TEST(Schedule, RisesLinearlyFromZero) {
  EXPECT_EQ(learning_rate(paper, 0), 0);
  EXPECT_DOUBLE_EQ(learning_rate(paper, 10), 0.6e-3);
  EXPECT_DOUBLE_EQ(learning_rate(paper, 20.5), 2.4e-3 * 20.5 / 40);
}

TEST(Schedule, FallsAsHalfACosine) {
  EXPECT_DOUBLE_EQ(learning_rate(paper, 40), 2.4e-3);
  EXPECT_NEAR(learning_rate(paper, 220), 1.2e-3, 1e-18);  // half way: cos(pi/2) = 6e-17 in double
  EXPECT_NEAR(learning_rate(paper, 160), 2.4e-3 * 0.75, 1e-15);  // cos(pi/3) = 1/2
  EXPECT_NEAR(learning_rate(paper, 400), 0, 1e-18);
}

TEST(Schedule, EndsAtMinLr) {
  Schedule schedule = paper;
  schedule.min_lr = 1e-5;
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 40), 2.4e-3);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 400), 1e-5);
}

TEST(Schedule, NeedsNoWarmUp) {
  EXPECT_DOUBLE_EQ(learning_rate({.peak_lr = 1, .warmup_epochs = 0, .epochs = 10}, 0), 1);
}

TEST(Schedule, StaysFiniteWhenTheRunIsAllWarmUp) {
  const Schedule schedule{.peak_lr = 1, .warmup_epochs = 40, .epochs = 10};
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 10), 0.25);
  EXPECT_DOUBLE_EQ(learning_rate({.peak_lr = 1, .min_lr = 0.5, .warmup_epochs = 4, .epochs = 4}, 4),
                   0.5);
}

TEST(Schedule, FallsToATenthAtEachStep) {
  const Schedule schedule{.peak_lr = 2, .warmup_epochs = 1, .epochs = 10, .steps = {6, 9}};
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 0.5), 1);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 1), 2);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 5.999), 2);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 6), 0.2);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 9.5), 0.02);
}

// PyTorch's LinearLR followed by PolynomialLR, step by step: lr *= ((left - 1) / left)^power.
TEST(Schedule, FallsAsAPowerOfWhatIsLeft) {
  const Schedule poly{.peak_lr = 1e-4, .warmup_epochs = 2, .epochs = 10, .power = 0.9};
  EXPECT_DOUBLE_EQ(learning_rate(poly, 1), 5e-5);
  constexpr int steps = 8000;
  double lr = 1e-4;
  for (int step = 0; step < steps - 1; ++step) {
    EXPECT_NEAR(learning_rate(poly, 2 + step / 1000.0), lr, 1e-4 * 1e-11);
    lr *= std::pow((steps - step - 1.0) / (steps - step), 0.9);
  }
  EXPECT_DOUBLE_EQ(learning_rate(poly, 10), 0);
  EXPECT_DOUBLE_EQ(learning_rate({.peak_lr = 1, .warmup_epochs = 0, .epochs = 4, .power = 1}, 1),
                   0.75);
}

TEST(PeakLr, IsGivenOrScaledByTheBatch) {
  EXPECT_EQ(peak_lr(0.5, 1e-3, 4096), 0.5);
  EXPECT_DOUBLE_EQ(peak_lr(0, 1.5e-4, 4096), 2.4e-3);  // MAE's pre-training
}

}  // namespace
}  // namespace sgmae
