// Oracle: the results written here.
#include "sgmae/report/detections.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sgmae {
namespace {

RunRecord run_of(const std::string& name, const char* text) {
  RunRecord run;
  run.name = name;
  run.results.push_back({"result.json", nlohmann::ordered_json::parse(text)});
  return run;
}

const char* const kBoxes =
    R"({"precision": {"box": {"0.5": [1, 0.5, 0], "0.75": [0.5, 0.25, 0], "0.5:0.95": [0.5, null, 0]}}})";

TEST(PrecisionCharts, OneRunHasALinePerOverlap) {
  const auto charts = precision_charts({run_of("a", kBoxes)});
  ASSERT_EQ(charts.size(), 2u);
  EXPECT_EQ(charts[0].title, "Precision of boxes");
  ASSERT_EQ(charts[0].series.size(), 3u);
  EXPECT_EQ(charts[0].series[0].name, "overlap 0.5");
  EXPECT_EQ(charts[0].series[0].x, (std::vector<double>{0, 0.5, 1}));
  EXPECT_EQ(charts[0].series[1].y, (std::vector<double>{0.5, 0.25, 0}));
  EXPECT_NE(charts[0].series[0].colour, charts[0].series[1].colour);
  EXPECT_TRUE(std::isnan(charts[0].series[2].y[1]));
  EXPECT_FALSE(has_points(charts[1]));  // no masks
}

TEST(PrecisionCharts, SeveralRunsHaveAChartPerOverlapAndAColourEach) {
  const auto charts =
      precision_charts({run_of("a", kBoxes), run_of("b", R"({"precision": 1})"),
                        run_of("c", R"({"precision": {"box": {"0.75": [1, 0]}, "mask": []}})")});
  ASSERT_EQ(charts.size(), 6u);
  EXPECT_EQ(charts[1].title, "Precision of boxes, overlap 0.75");
  ASSERT_EQ(charts[1].series.size(), 2u);  // b has none
  EXPECT_EQ(charts[1].series[1].name, "c");
  EXPECT_EQ(charts[1].series[1].colour, 2);
  EXPECT_EQ(charts[0].series.size(), 1u);
}

}  // namespace
}  // namespace sgmae
