// Oracle: mean and standard deviation by their two-pass definitions; one process for several.
#include "sgmae/analysis/metric_table.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/support/processes.h"

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

constexpr std::int64_t kImages = 11;

// Values of images and of pairs of images, in batches of two that processes take by turns. Of the
// batch of images 4 and 5 there are no pairs.
MetricTable shared_table(const at::Tensor& values, const at::Tensor& rows) {
  MetricTable table;
  const std::int64_t of = processes().size();
  for (std::int64_t round = 0; round * of * 2 < kImages; ++round) {
    const std::int64_t begin = 2 * (round * of + processes().rank());
    if (begin < kImages) {
      const at::Tensor own = rows.slice(0, begin, begin + 2);
      table.add({.metric = "m", .model = 1, .part = "encoder", .label = "l", .block = 2, .head = 3},
                0.5, values.slice(0, begin, begin + 2));
      if (begin != 4)
        table.add_pairs({.metric = "pairs"}, 1, own,
                        [own](const at::Tensor& before) { return (own * before).sum(1); });
    }
    table.gather();
  }
  return table;
}

TEST(MetricTable, PairsAreOfEveryImageAndTheOneBefore) {
  const at::Tensor values = at::randn({kImages}), rows = at::randn({kImages, 3});
  const MetricTable table = shared_table(values, rows);
  const Moments& pairs = table.curves().at({.metric = "pairs"}).at(1);
  double sum = 0;
  int count = 0;
  for (const auto& [image, before] :
       {std::pair{1, 0}, {2, 1}, {3, 2}, {6, 3}, {7, 6}, {8, 7}, {9, 8}, {10, 9}}) {
    sum += (rows[image] * rows[before]).sum().item<double>();
    ++count;
  }
  EXPECT_EQ(pairs.count, count);
  EXPECT_NEAR(pairs.mean, sum / count, 1e-6);  // fp32 sums
}

TEST(MetricTable, IsTheSameBitsInSeveralProcesses) {
  at::Tensor values = at::randn({kImages}, at::kDouble);
  values[3] = std::numeric_limits<double>::quiet_NaN();
  values[5] = 1 + 1e-15;
  const at::Tensor rows = at::randn({kImages, 3});
  const MetricTable one = shared_table(values, rows);
  for (const int size : {2, 3, 7})
    expect_in_processes(size, [&] {
      const MetricTable table = shared_table(values, rows);
      ASSERT_EQ(table.curves().size(), one.curves().size());
      for (const auto& [id, curve] : one.curves())
        for (const auto& [x, moments] : curve) {
          const Moments& same = table.curves().at(id).at(x);
          EXPECT_EQ(same.count, moments.count) << id.metric;
          EXPECT_EQ(same.mean, moments.mean) << id.metric;
          EXPECT_EQ(same.squares, moments.squares) << id.metric;
        }
    });
}

}  // namespace
}  // namespace sgmae
