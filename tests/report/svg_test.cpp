// Oracles: closed forms of ticks, and a slow reading back of the drawn path.
#include "sgmae/report/svg.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "sgmae/base/rng.h"
#include "tests/report/well_formed.h"

namespace sgmae {
namespace {

void expect_ticks(const Ticks& ticks, double first, double last, double step) {
  EXPECT_DOUBLE_EQ(ticks.first, first);
  EXPECT_DOUBLE_EQ(ticks.last, last);
  EXPECT_DOUBLE_EQ(ticks.step, step);
}

TEST(Ticks, ClosedForms) {
  expect_ticks(nice_ticks(0, 1, 5), 0, 1, 0.2);
  expect_ticks(nice_ticks(0, 100, 10), 0, 100, 10);
  expect_ticks(nice_ticks(0.64, 2.51, 5), 0.5, 3, 0.5);
  expect_ticks(nice_ticks(-3, 3, 6), -3, 3, 1);
  expect_ticks(nice_ticks(0, 2, 6, true), 0, 2, 1);
  expect_ticks(nice_ticks(0, 399, 6, true), 0, 400, 100);
  expect_ticks(nice_ticks(5, 5, 6, true), 4, 6, 1);
  expect_ticks(nice_ticks(0, 0, 5), -0.5, 0.5, 0.5);
}

// For random ranges of any size: the steps are 1, 2 or 5 times a power of ten, the range is covered
// with less than a step to spare on either side, and there are at most as many intervals as asked
// for. 1e-5 of a step: what nice_ticks takes for rounding.
TEST(Ticks, PropertiesOnRandomRanges) {
  Rng rng(2, 0, 0, Purpose::probe);
  for (int round = 0; round < 2000; ++round) {
    const double scale = std::pow(10.0, static_cast<double>(rng.below(40)) - 20);
    const double low = (static_cast<double>(rng.below(2000)) - 1000) * scale;
    const double high = low + static_cast<double>(1 + rng.below(5000)) * scale;
    const Ticks ticks = nice_ticks(low, high, 6);
    const double digits = ticks.step / std::pow(10.0, std::floor(std::log10(ticks.step) + 1e-9));
    EXPECT_LT(std::min({std::abs(digits - 1), std::abs(digits - 2), std::abs(digits - 5)}), 1e-6);
    EXPECT_LE(ticks.count(), 7u);
    EXPECT_LE(ticks.first, low + 1e-5 * ticks.step);
    EXPECT_GE(ticks.last, high - 1e-5 * ticks.step);
    EXPECT_GT(ticks.first, low - ticks.step);
    EXPECT_LT(ticks.last, high + ticks.step);
  }
}

TEST(Ticks, Labels) {
  EXPECT_EQ(tick_label(0.30000000000000004, 0.1), "0.3");
  EXPECT_EQ(tick_label(-1e-17, 0.2), "0.0");
  EXPECT_EQ(tick_label(0.0015, 0.0005), "0.0015");
  EXPECT_EQ(tick_label(40, 20), "40");
  EXPECT_EQ(tick_label(3000, 1000), "3000");
  EXPECT_EQ(tick_label(2e-7, 1e-7), "2e-07");
  EXPECT_EQ(tick_label(1.5e9, 5e8), "1.5e+09");
}

TEST(Thin, KeepsEverythingThatIsFew) {
  EXPECT_EQ(thin({3, NAN, 1}, 100), (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_TRUE(thin({}, 100).empty());
}

// A hundred thousand points of noise with one spike up and one down: both stay, as do both ends, in
// order and at most as many as asked for.
TEST(Thin, LosesNoSpike) {
  Rng rng(3, 0, 0, Purpose::probe);
  std::vector<double> y(100000);
  for (double& value : y) value = static_cast<double>(rng.below(1000));
  y[77777] = 1e6;
  y[12345] = -1e6;
  for (std::size_t i = 40000; i < 50000; ++i) y[i] = NAN;
  const std::vector<std::size_t> kept = thin(y, 1000);
  EXPECT_LE(kept.size(), 1000u);
  EXPECT_TRUE(std::is_sorted(kept.begin(), kept.end()));
  EXPECT_EQ(std::adjacent_find(kept.begin(), kept.end()), kept.end());
  for (const std::size_t i : {std::size_t{0}, std::size_t{12345}, std::size_t{77777}, y.size() - 1})
    EXPECT_TRUE(std::binary_search(kept.begin(), kept.end(), i)) << i;
  EXPECT_TRUE(std::any_of(kept.begin(), kept.end(), [&](auto i) { return std::isnan(y[i]); }));
}

Chart line_chart(std::vector<double> y) {
  Chart chart{.title = "Loss <of> \"it\"", .x_label = "epoch", .y_label = "loss & more"};
  Series series{.name = "run"};
  for (std::size_t i = 0; i < y.size(); ++i) series.x.push_back(static_cast<double>(i));
  series.y = std::move(y);
  chart.series.push_back(series);
  return chart;
}

std::string path_of(const std::string& svg) {
  const std::size_t begin = svg.find(" d=\"") + 4;
  return svg.substr(begin, svg.find('"', begin) - begin);
}

// Heights on the picture are an affine image of the values: with y from 0 to 4, equal steps.
TEST(Chart, DrawsValuesWhereTheyBelong) {
  const std::string svg = chart_svg(line_chart({0, 1, 2, 3, 4}));
  expect_well_formed(svg);
  std::istringstream path(path_of(svg));
  std::vector<double> x(5), y(5);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(path.get(), i == 0 ? 'M' : 'L');
    path >> x[i] >> y[i];
  }
  for (int i = 1; i < 5; ++i) {  // 0.11: coordinates are printed to 0.1
    EXPECT_NEAR(x[i] - x[i - 1], (x[4] - x[0]) / 4, 0.11);
    EXPECT_NEAR(y[i - 1] - y[i], (y[0] - y[4]) / 4, 0.11);
  }
  EXPECT_GT(y[0], y[4]);  // SVG counts downwards
  EXPECT_EQ(count_of(svg, "<circle"), 5u);
}

TEST(Chart, GapsBreakTheLine) {
  EXPECT_EQ(count_of(path_of(chart_svg(line_chart({0, 1, NAN, 3, INFINITY, 5}))), "M"), 3u);
}

TEST(Chart, WithoutAnyPointIsNothing) {
  for (const Chart& chart : {line_chart({}), line_chart({NAN, INFINITY, 1e200}), Chart{}}) {
    EXPECT_FALSE(has_points(chart));
    EXPECT_EQ(chart_svg(chart), "");
  }
}

TEST(Chart, StrangeNumbersAreDrawn) {
  for (const std::vector<double>& y :
       {std::vector<double>{5}, {0, 0, 0}, {1e99, -1e99}, {1e-300, 2e-300}, {1, 1 + 1e-16}}) {
    const std::string svg = chart_svg(line_chart(y));
    expect_well_formed(svg);
    EXPECT_FALSE(contains(svg, "nan")) << svg;
    EXPECT_FALSE(contains(svg, "inf")) << svg;
  }
}

TEST(Chart, HugeLinesStaySmall) {
  std::vector<double> y(100000);
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = std::sin(static_cast<double>(i));
  EXPECT_LT(chart_svg(line_chart(y)).size(), 40000u);
}

// Names at the end of the lines stay a line's height apart, however close the values are.
TEST(Chart, NamesDoNotOverlap) {
  Chart chart = line_chart({1, 2, 3});
  for (int i = 0; i < 5; ++i) {
    chart.series.push_back(chart.series[0]);
    chart.series.back().name = "run " + std::to_string(i);
    chart.series.back().y.back() += 0.001 * i;
  }
  const std::string svg = chart_svg(chart);
  std::vector<double> heights;
  for (std::size_t at = svg.find("label own"); at != svg.npos; at = svg.find("label own", at + 1)) {
    const std::size_t y = svg.rfind(" y=\"", at);
    heights.push_back(std::stod(svg.substr(y + 4)));
  }
  ASSERT_EQ(heights.size(), 6u);
  for (std::size_t i = 1; i < 6; ++i) EXPECT_GE(heights[i] - heights[i - 1], 12.9);
}

TEST(Chart, MarkersOutsideAreLeftOut) {
  Chart chart = line_chart({1, 2, 3});
  chart.markers = {{1, "T = 1 <b>", 0}, {7, "beyond", 0}, {NAN, "nowhere", 0}};
  const std::string svg = chart_svg(chart);
  expect_well_formed(svg);
  EXPECT_TRUE(contains(svg, "T = 1 &lt;b&gt;"));
  EXPECT_FALSE(contains(svg, "beyond"));
  EXPECT_FALSE(contains(svg, "nowhere"));
}

TEST(Chart, IntervalsAreShadedBelowAllLinesAndInsideTheAxes) {
  Chart chart = line_chart({1, 2, 3});
  chart.series[0].interval = {0.5, NAN, 4};
  chart.series.push_back(chart.series[0]);
  const std::string svg = chart_svg(chart);
  expect_well_formed(svg);
  EXPECT_EQ(count_of(svg, "class=\"band\""), 2u);
  EXPECT_LT(svg.rfind("class=\"band\""), svg.find("class=\"curve\""));
  EXPECT_TRUE(contains(svg, ">8<")) << svg;   // the axis reaches 3 + 4
  EXPECT_TRUE(contains(svg, ">-2<")) << svg;  // and 3 - 4
}

TEST(Chart, IntervalsOfWhatCannotBeNegativeEndAtZero) {
  Chart chart = line_chart({1, 2, 3});
  chart.series[0].interval = {5, 5, 5};
  chart.may_be_negative = false;
  const std::string svg = chart_svg(chart);
  EXPECT_FALSE(contains(svg, ">-")) << svg;
  EXPECT_EQ(count_of(svg, "class=\"band\""), 1u);
}

TEST(Chart, LongNamesAreCutBetweenCharacters) {
  EXPECT_EQ(shortened("äöü", 3), "äöü");
  EXPECT_EQ(shortened("äöüß", 3), "äö…");
  EXPECT_EQ(svg_text_width("äö"), svg_text_width("ab"));
}

}  // namespace
}  // namespace sgmae
