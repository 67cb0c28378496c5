// Oracle: SciPy 1.17: stats.t.ppf, stats.ttest_rel(…).confidence_interval(0.95), numpy.std(ddof=1).
#include "sgmae/study/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>

namespace sgmae {
namespace {

TEST(Statistics, StudentsTEqualsSciPy) {
  const std::pair<int, double> cases[] = {{1, 12.706204736174694}, {2, 4.302652729749462},
                                          {3, 3.1824463052837078}, {4, 2.7764451051977934},
                                          {9, 2.262157162798205},  {10, 2.228138851986274},
                                          {30, 2.0422724563012378}};
  for (const auto& [freedom, t] : cases)
    // Relative: bisection goes to the last bit, the series loses a few.
    EXPECT_NEAR(student_t(0.95, freedom) / t, 1, 1e-12) << freedom;
}

TEST(Statistics, PairedDifferenceEqualsSciPy) {
  const std::vector<double> a{55.1, 54.2, 56.0, 55.5}, b{54.9, 54.3, 55.0, 54.7};
  const PairedDifference d = paired_difference(a, b);
  EXPECT_EQ(d.count, 4);
  EXPECT_NEAR(d.mean, 0.475, 1e-12);
  EXPECT_NEAR(d.low, -0.3402592651387979, 1e-9);
  EXPECT_NEAR(d.high, 1.2902592651388007, 1e-9);
  EXPECT_NEAR(summarise(a).deviation, 0.7615773105863894, 1e-12);
}

TEST(Statistics, OneValueHasNoSpread) {
  EXPECT_EQ(summarise({3.0}).mean, 3.0);
  EXPECT_TRUE(std::isnan(summarise({3.0}).deviation));
  const PairedDifference d = paired_difference({3.0}, {1.0});
  EXPECT_EQ(d.mean, 2.0);
  EXPECT_TRUE(std::isnan(d.low));
  EXPECT_EQ(summarise({}).count, 0);
}

}  // namespace
}  // namespace sgmae
