// Oracle: the results written here.
#include "sgmae/report/detections.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sgmae {
namespace {

using nlohmann::ordered_json;

ordered_json result_of(const char* text) {
  return ordered_json::parse(text);
}

RunRecord run_of(const std::string& name, const char* text) {
  RunRecord run;
  run.name = name;
  run.results.push_back({"result.json", result_of(text)});
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

TEST(ConfusionTable, RowsAreTheTruthAndColumnsWhatWasFound) {
  const Table table = confusion_table(result_of(R"({"per_class": {"cat": {}, "dog": {}},
      "confusion": [[0, 0, 5], [0, 1, 2], [1, 2, 3], [2, 0, 7]]})"),
                                      2);
  EXPECT_EQ(table.head, (std::vector<std::string>{"is", "found: cat", "found: dog", "missed"}));
  ASSERT_EQ(table.rows.size(), 3u);
  EXPECT_EQ(table.rows[0], (std::vector<std::string>{"cat", "5", "2", ""}));
  EXPECT_EQ(table.rows[1], (std::vector<std::string>{"dog", "", "", "3"}));
  EXPECT_EQ(table.rows[2], (std::vector<std::string>{"background", "7", "", ""}));
}

TEST(ConfusionTable, OfManyClassesTheMistakesStandInOrder) {
  const Table table = confusion_table(result_of(R"({"per_class": {"cat": {}, "dog": {}},
      "confusion": [[0, 0, 50], [0, 1, 2], [1, 2, 3], [2, 0, 7]]})"),
                                      1);
  ASSERT_EQ(table.rows.size(), 3u);
  EXPECT_EQ(table.rows[0], (std::vector<std::string>{"background", "cat", "7"}));
  EXPECT_EQ(table.rows[1], (std::vector<std::string>{"dog", "missed", "3"}));
  EXPECT_EQ(table.rows[2], (std::vector<std::string>{"cat", "dog", "2"}));
}

TEST(ConfusionTable, DamagedEntriesAreLeftOut) {
  const Table table = confusion_table(result_of(R"({"per_class": {"cat": {}},
      "confusion": [[0, 2, 5], [-1, 0, 1], [0, 0], 3, [0, 0, "x"], [0, 0, 1.5], [1, 0, 4],
                    [18446744073709551615, 0, 1]]})"),
                                      20);
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[0], (std::vector<std::string>{"cat", "", ""}));
  EXPECT_EQ(table.rows[1], (std::vector<std::string>{"background", "4", ""}));
  for (const char* none : {R"({"confusion": [[0, 0, 3]]})", R"({"per_class": {"a": 1}})", "[]",
                           R"({"per_class": 3, "confusion": {"a": 1}})"})
    EXPECT_TRUE(confusion_table(result_of(none), 20).rows.empty()) << none;
}

}  // namespace
}  // namespace sgmae
