// Oracle: what older versions wrote.
#include "sgmae/train/clock.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sgmae/base/json.h"

namespace sgmae {
namespace {

using nlohmann::json;

TEST(TrainClock, GoesThroughTextExactly) {
  TrainClock clock{.steps_per_epoch = 8, .epoch = 3, .step = 5, .total_steps = 29, .rollbacks = 1};
  clock.sums.add(0.1, 1e-3, 2.5);
  clock.sums.add(std::numeric_limits<double>::quiet_NaN(), 1e-3, 2.5);
  clock.best = 0.25;
  clock.best_epoch = 2;
  const TrainClock back = TrainClock::from_json(json::parse(json_text(clock.to_json())), 8);
  EXPECT_EQ(back.epoch, 3);
  EXPECT_EQ(back.step, 5);
  EXPECT_EQ(back.total_steps, 29);
  EXPECT_EQ(back.rollbacks, 1);
  EXPECT_EQ(back.sums.steps, 2);
  EXPECT_EQ(back.sums.lr, clock.sums.lr);
  EXPECT_TRUE(std::isnan(back.sums.loss)) << "what is not a number survives";
  EXPECT_EQ(back.best, 0.25);
  EXPECT_EQ(back.best_epoch, 2);
  EXPECT_DOUBLE_EQ(back.progress(), 3 + 5.0 / 8);
}

TEST(TrainClock, ReadsAProbeOfAnOlderVersion) {
  const json old{{"epoch", 2},  {"step", 3},       {"loss_sum", 6.0}, {"lr_sum", 0.3},
                 {"best", 0.5}, {"best_epoch", 1}, {"rollbacks", 0}};
  const TrainClock clock = TrainClock::from_json(old, 10);
  EXPECT_EQ(clock.total_steps, 23);
  EXPECT_EQ(clock.sums.mean(clock.sums.loss), 2.0) << "it left no step out";
  EXPECT_TRUE(std::isnan(clock.sums.mean(clock.sums.norm))) << "it measured no norm";
  EXPECT_EQ(clock.best, 0.5);
  EXPECT_EQ(clock.best_epoch, 2) << "it counted from 0";
}

TEST(TrainClock, AnEpochEndsWithItsMean) {
  TrainClock clock{.steps_per_epoch = 2};
  clock.sums.add(1, 0, 0);
  clock.sums.add(3, 0, 0);
  clock.step = 2;
  clock.next_epoch();
  EXPECT_EQ(clock.train_loss, 2);
  EXPECT_EQ(clock.name(), (CheckpointName{1, 0}));
  EXPECT_EQ(clock.sums.steps, 0);
}

}  // namespace
}  // namespace sgmae
