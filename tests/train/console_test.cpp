// Oracle: MAE's printed line, and arithmetic by hand.
#include "sgmae/train/console.h"

#include <gtest/gtest.h>

#include <regex>

namespace sgmae {
namespace {

TEST(Meter, MedianOfTwentyAndMeanOfAll) {
  Meter meter;
  EXPECT_EQ(meter.median(), 0);
  EXPECT_EQ(meter.mean(), 0);
  for (int i = 1; i <= 30; ++i) meter.add(i);
  EXPECT_DOUBLE_EQ(meter.median(), 20);  // of 11 .. 30, the lower middle, as MAE's does
  EXPECT_DOUBLE_EQ(meter.mean(), 15.5);
}

TEST(Console, ClockText) {
  EXPECT_EQ(clock_text(3723.9), "1:02:03");
  EXPECT_EQ(clock_text(0), "0:00:00");
  EXPECT_EQ(clock_text(-1), "0:00:00");
}

TEST(Console, LineCanBeGreppedAsMaeS) {
  EpochConsole console{
      .epoch = 3, .epochs = 10, .batches = 2502, .images_per_batch = 64, .flop_per_image = 5e9};
  console.lr = 1e-4;
  console.loss.add(0.4123);
  console.time.add(0.4);
  console.data.add(0.01);
  const std::string line = console.line(20);
  EXPECT_TRUE(std::regex_search(
      line, std::regex(R"(^Epoch: \[4\]  \[  20/2502\]  eta: 0:16:32  lr: 0\.000100  )"
                       R"(loss: 0\.4123 \(0\.4123\)  time: 0\.4000  data: 0\.0100  max mem: \d+)")))
      << line;
  EXPECT_NE(line.find("img/s: 160.0"), std::string::npos) << line;
  EXPECT_NE(line.find("TFLOP/s: 0.800"), std::string::npos) << line;
  EXPECT_NE(line.find("data wait: 2.5 %  run: 1:56:37 left"), std::string::npos)
      << "2481 batches of this epoch and 6 more epochs, 0.4 s each: " << line;
  console.device_memory = 5 << 20;
  EXPECT_NE(console.line(20).find("max mem: 5  "), std::string::npos);
}

TEST(Console, BarFillsUp) {
  EpochConsole console{.epoch = 0, .epochs = 1, .batches = 4};
  EXPECT_NE(console.bar(0).find("epoch 1/1 [........................] 0/4"), std::string::npos);
  EXPECT_NE(console.bar(2).find("[############............] 2/4"), std::string::npos);
  EXPECT_NE(console.bar(4).find("[########################] 4/4"), std::string::npos);
}

}  // namespace
}  // namespace sgmae
