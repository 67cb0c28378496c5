// Oracle: mean and standard deviation by their two-pass definitions.
#include "sgmae/analysis/metric_table.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <limits>

namespace sgmae {
namespace {

// 1e-9 of values around 1000 with deviation 2: what one-pass sums of squares would lose.
TEST(MetricTable, IsTheMeanAndDeviationOfAllImages) {
  const at::Tensor values = at::randn({50}, at::kDouble).mul(2).add(1000);
  MetricTable table;
  const SeriesId id{.metric = "nmi", .part = "encoder"};
  table.add(id, 3, values.slice(0, 0, 7));
  table.gather();
  table.add(id, 3, values.slice(0, 7));
  table.gather();
  const Moments& m = table.curves().at(id).at(3);
  EXPECT_EQ(m.count, 50);
  EXPECT_NEAR(m.mean, values.mean().item<double>(), 1e-9);
  EXPECT_NEAR(m.deviation(), values.std().item<double>(), 1e-9);
}

TEST(MetricTable, LeavesOutWhatDoesNotExistAndKeepsCurvesApart) {
  MetricTable table;
  at::Tensor values = at::full({3}, 2.0);
  values[1] = std::numeric_limits<double>::quiet_NaN();
  table.add({.metric = "a", .head = 0}, 0, values);
  table.add({.metric = "a", .head = 1}, 0, values + 1);
  table.gather();
  ASSERT_EQ(table.curves().size(), 2u);
  const Moments& m = table.curves().at({.metric = "a", .head = 0}).at(0);
  EXPECT_EQ(m.count, 2);
  EXPECT_EQ(m.mean, 2);
  EXPECT_EQ(m.deviation(), 0);
  EXPECT_EQ(Moments{}.deviation(), 0);
}

}  // namespace
}  // namespace sgmae
