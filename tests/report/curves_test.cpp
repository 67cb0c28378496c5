// Oracle: the log lines parsed here.
#include "sgmae/report/curves.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sgmae {
namespace {

RunRecord run_of(const std::string& name, const std::string& log) {
  RunRecord run;
  run.name = name;
  run.log = parse_log(log);
  return run;
}

const char* const kLog =
    R"({"epoch":0,"train_loss":2,"data_wait_frac":0.5,"mask_R_M":0.75,"mask_R_V":0.25,"mask_R_M_layers":[0.5],"own":7}
{"epoch":1,"train_loss":1,"data_wait_frac":0.25,"mask_R_M":0.5,"mask_R_V":0.5,"mask_R_M_layers":[0.5,0.25],"own":8,"guide_start":1}
)";

const Chart& titled(const std::vector<Chart>& charts, const std::string& title) {
  const auto found =
      std::find_if(charts.begin(), charts.end(), [&](const Chart& c) { return c.title == title; });
  EXPECT_NE(found, charts.end()) << title;
  return *found;
}

TEST(Curves, OneRunHasALinePerQuantity) {
  const std::vector<RunRecord> runs{run_of("a", kLog)};
  const auto training = training_charts(runs);
  EXPECT_EQ(titled(training, "Loss").series[0].y, (std::vector<double>{2, 1}));
  EXPECT_EQ(titled(training, "Loss").series[0].x, (std::vector<double>{1, 2}));  // finished
  EXPECT_EQ(titled(training, "Loss").markers[0].label, "T = 1");
  EXPECT_EQ(titled(training, "Waiting for data").series[0].y, (std::vector<double>{50, 25}));  // %
  const auto exploitation = exploitation_charts(runs);
  const Chart& rate = titled(exploitation, "Exploitation rate, last layer");
  ASSERT_EQ(rate.series.size(), 2u);
  EXPECT_EQ(rate.series[0].name, "mask tokens");
  EXPECT_NE(rate.series[0].colour, rate.series[1].colour);
  EXPECT_EQ(rate.markers.size(), 1u);
  const Chart& layers = exploitation.back();
  EXPECT_EQ(layers.series[0].y, (std::vector<double>{0.5, 0.25}));
  EXPECT_EQ(layers.series[1].y, (std::vector<double>{0.5, 0.75}));
  EXPECT_EQ(layers.series[0].x, (std::vector<double>{1, 2}));
}

TEST(Curves, SeveralRunsHaveAChartPerQuantityAndAColourEach) {
  const std::vector<RunRecord> runs{
      run_of("a", kLog), run_of("b", "{\"epoch\":0,\"train_loss\":3}\n"), run_of("c", kLog)};
  const auto exploitation = exploitation_charts(runs);
  const Chart& rate = titled(exploitation, "Exploitation rate, last layer: mask tokens");
  ASSERT_EQ(rate.series.size(), 2u);  // b has none
  EXPECT_EQ(rate.series[1].name, "c");
  EXPECT_EQ(rate.series[1].colour, 2);  // its colour everywhere
  EXPECT_TRUE(rate.names_lone_line);
  EXPECT_EQ(rate.markers[1].label, "T = 1, c");
  EXPECT_EQ(titled(training_charts(runs), "Loss").series.size(), 3u);
}

TEST(Curves, WhatNoOtherChartShowsIsShownOnce) {
  const auto further = further_charts({run_of("a", kLog), run_of("b", kLog)});
  ASSERT_EQ(further.size(), 1u);
  EXPECT_EQ(further[0].title, "own");
}

TEST(Curves, DetectionHasItsPrecisionAndThePartsOfItsLoss) {
  const std::vector<RunRecord> runs{run_of(
      "a",
      R"({"epoch":0,"train_loss_box":0.5,"train_loss_mask":0.75,"test_box_ap":20,"test_box_ap50":40,"test_mask_ap75":10})")};
  const auto training = training_charts(runs), results = result_charts(runs);
  const Chart& parts = titled(training, "Parts of the loss");
  ASSERT_EQ(parts.series.size(), 2u);
  EXPECT_EQ(parts.series[1].name, "masks");
  const Chart& box = titled(results, "Box AP");
  ASSERT_EQ(box.series.size(), 2u);
  EXPECT_EQ(box.series[1].name, "AP50");
  EXPECT_EQ(box.series[1].y, (std::vector<double>{40}));  // per cent already
  EXPECT_EQ(titled(results, "Mask AP").series[0].name, "AP75");
  EXPECT_TRUE(further_charts(runs).empty());
}

// A test every other epoch is one line, a loss that is not finite a gap in it.
TEST(Curves, TestsAreJoinedOverTheEpochsBetween) {
  const std::vector<RunRecord> runs{run_of("a", R"({"epoch":0,"train_loss":3}
{"epoch":1,"train_loss":"nan","knn_acc1":0.5}
{"epoch":2,"train_loss":1}
{"epoch":3,"train_loss":1,"knn_acc1":0.75}
)")};
  const auto results = result_charts(runs);
  const Series& knn = titled(results, "k-NN accuracy").series[0];
  EXPECT_EQ(knn.x, (std::vector<double>{2, 4}));
  EXPECT_EQ(knn.y, (std::vector<double>{50, 75}));
  EXPECT_EQ(titled(training_charts(runs), "Loss").series[0].y.size(), 4u);
}

TEST(Curves, WithoutALogThereIsNothing) {
  EXPECT_EQ(cards(training_charts({RunRecord{}})), "");
  EXPECT_EQ(cards(exploitation_charts({RunRecord{}, RunRecord{}})), "");
  EXPECT_EQ(cards(result_charts({RunRecord{}})), "");
}

}  // namespace
}  // namespace sgmae
