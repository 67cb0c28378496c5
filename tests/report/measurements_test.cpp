// Oracle: the metrics.json written here, by the schema of docs/analysis.md.
#include "sgmae/report/measurements.h"

#include <cmath>

#include "tests/report/folder.h"

namespace sgmae {
namespace {

using MeasurementsFile = RunFolderTest;

TEST_F(MeasurementsFile, BecomesChartsByPart) {
  write("metrics.json", R"({
    "schema": 1, "data": {"path": "there"}, "images": 64,
    "models": [{"name": "mae", "checkpoint": "a", "epoch": 3, "family": "mae"},
               {"name": "mae", "checkpoint": "b", "epoch": 9, "family": "mae"}],
    "metrics": {"nmi": {"title": "NMI", "paper": "Fig. 6", "good": "Good: high.", "unit": "nats", "may_be_negative": false, "axes": ["model", "layer"],
      "series": [{"model": 0, "part": "encoder", "x": "layer", "at": [0, 1], "values": [1, null], "spread": [0.1, 0.2],
                  "standard_error": [0.01, 0.02]},
                 {"model": 1, "part": "encoder", "layer": [0, 1], "values": [3, 4]},
                 {"model": 1, "part": "decoder", "x": "frequency", "frequency": [0.1], "values": [5]}]}},
    "figures": [{"file": "figures/a.png", "title": "A", "paper": "Fig. 1", "caption": "c"}]})");
  const Measurements m = read_measurements(root_ / "metrics.json");
  EXPECT_TRUE(m.notes.empty());
  EXPECT_EQ(m.data, "there");
  EXPECT_EQ(m.images, 64);
  EXPECT_EQ(m.models, (std::vector<std::string>{"mae epoch 3", "mae epoch 9"}));
  ASSERT_EQ(m.charts.size(), 2u);
  EXPECT_EQ(m.charts[1].chart.title, "NMI, decoder");
  EXPECT_EQ(m.charts[1].chart.x_label, "frequency, in π per patch");
  EXPECT_EQ(m.charts[1].chart.series[0].name, "mae epoch 9");
  EXPECT_EQ(m.charts[0].paper, "Fig. 6");
  const Chart& encoder = m.charts[0].chart;
  EXPECT_EQ(encoder.title, "NMI, encoder");
  EXPECT_EQ(encoder.note, "Good: high.");
  EXPECT_FALSE(encoder.may_be_negative);
  EXPECT_EQ(encoder.y_label, "nats");
  ASSERT_EQ(encoder.series.size(), 2u);
  EXPECT_EQ(encoder.series[0].y[0], 1);
  EXPECT_TRUE(std::isnan(encoder.series[0].y[1]));
  EXPECT_EQ(encoder.series[0].spread, (std::vector<double>{0.1, 0.2}));
  ASSERT_EQ(encoder.series[0].interval.size(), 2u);
  EXPECT_NEAR(encoder.series[0].interval[1], 1.96 * 0.02, 1e-12);  // the mean's, of 95 %
  EXPECT_TRUE(encoder.series[1].interval.empty());
  EXPECT_EQ(encoder.series[1].x, (std::vector<double>{0, 1}));
  ASSERT_EQ(m.figures.size(), 1u);
  EXPECT_EQ(m.figures[0].file, root_ / "figures/a.png");
}

// 20 checkpoints by label, and 2 by head: what is drawn is told apart, and nothing is lost.
TEST_F(MeasurementsFile, ManyLinesAreDrawnInPart) {
  std::string models, labels, heads;
  for (int m = 0; m < 20; ++m) {
    models += str(m ? "," : "", R"({"name":"m)", m, "\"}");
    for (const char* label : {"within", "between"})
      labels += str(labels.empty() ? "" : ",", R"({"model":)", m,
                    R"(,"x":"layer","at":[0,1],"label":")", label, R"(","values":[1,2]})");
  }
  for (int head = 0; head < 9; ++head)
    for (int m = 0; m < 2; ++m)
      heads += str(heads.empty() ? "" : ",", R"({"model":)", m, R"(,"head":)", head,
                   R"(,"at":[0,1],"values":[1,2]})");
  write("metrics.json", R"({"schema":1,"models":[)" + models + R"(],"metrics":{"a":{"series":[)" +
                            labels + R"(]},"b":{"series":[)" + heads + "]}}}");
  const Measurements m = read_measurements(root_ / "metrics.json");
  ASSERT_EQ(m.charts.size(), 3u);
  const Chart& chart = m.charts[0].chart;
  EXPECT_FALSE(m.charts[0].detailed);
  EXPECT_EQ(chart.series.size(), 40u);
  EXPECT_EQ(chart.note, "12 of 40 lines are drawn, the numbers are of all.");
  EXPECT_EQ(chart.series[0].name, "m0, within");
  EXPECT_FALSE(chart.series[0].dashed);
  EXPECT_TRUE(chart.series[1].dashed);
  EXPECT_EQ(chart.series[0].colour, chart.series[1].colour);
  EXPECT_TRUE(chart.series[2].in_table_only);
  EXPECT_EQ(chart.series[39].colour, 5);  // the last of six
  ASSERT_EQ(chart.legend.size(), 8u);     // six models by colour, two labels by dash
  EXPECT_EQ(chart.legend[5].name, "m19");
  EXPECT_TRUE(chart.legend[7].dashed);
  EXPECT_TRUE(m.charts[2].detailed);
  EXPECT_EQ(m.charts[2].chart.title, "b, m1");
  EXPECT_EQ(m.charts[2].chart.series.size(), 9u);
  EXPECT_EQ(m.charts[2].chart.series[8].name, "head 8");
}

TEST_F(MeasurementsFile, WhatDoesNotFitIsLeftOut) {
  write("metrics.json", R"({
    "schema": 1, "models": [{"name": "m"}, 3],
    "metrics": {"a": {"series": [{"model": 7, "at": [0], "values": [1]}, {"model": 0, "at": [0, 1], "values": [1]},
                                 {"model": -1, "at": [0], "values": [1]}, {"model": 0.5, "at": [0], "values": [1]},
                                 {"model": 0, "at": "x", "values": 3}, {"model": 0, "x": "epoch", "values": [1]}, 5]},
                "b": 3, "c": {"series": [{"model": 0, "at": [0], "values": [1]}]}},
    "figures": [{"file": "../secret.png"}, {"file": "/secret.png"}, {"file": 3}, "x"]})");
  const Measurements m = read_measurements(root_ / "metrics.json");
  EXPECT_EQ(m.models, (std::vector<std::string>{"m", "model 1"}));
  ASSERT_EQ(m.charts.size(), 1u);
  EXPECT_EQ(m.charts[0].chart.title, "c");
  EXPECT_TRUE(m.figures.empty());
  EXPECT_EQ(m.notes.size(), 6u);  // one for a, one for b, four figures
}

TEST_F(MeasurementsFile, LayersThatAreNotSaidAreAllOfThem) {
  write("metrics.json", R"({"schema":1,"models":[{"name":"m"}],
    "metrics":{"a":{"series":[{"model":0,"x":"layer","at":null,"values":[5,6,7]}]}}})");
  const Measurements m = read_measurements(root_ / "metrics.json");
  ASSERT_EQ(m.charts.size(), 1u);
  EXPECT_EQ(m.charts[0].chart.series[0].x, (std::vector<double>{0, 1, 2}));
}

TEST_F(MeasurementsFile, OtherFilesAreNamed) {
  for (const char* text : {"", "[]", "{\"schema\": 2}", "{\"schema\": 1", "{\"schema\": \"1\"}"}) {
    write("metrics.json", text);
    EXPECT_EQ(read_measurements(root_ / "metrics.json").notes.size(), 1u) << text;
  }
  EXPECT_EQ(read_measurements(root_ / "none.json").notes.size(), 1u);
}

}  // namespace
}  // namespace sgmae
