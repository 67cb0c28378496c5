// Oracle: moments of the distributions; the published Philox test vectors are hidden behind the
// keying.
#include "sgmae/base/rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace sgmae {
namespace {

TEST(Rng, EveryPartOfTheKeyGivesAnotherStream) {
  std::set<std::uint32_t> first;
  for (std::uint64_t seed : {0, 1})
    for (std::uint64_t epoch : {0, 1})
      for (std::uint64_t index : {0, 1})
        for (Purpose purpose : {Purpose::mask, Purpose::hint})
          first.insert(Rng(seed, epoch, index, purpose).next());
  EXPECT_EQ(first.size(), 16u);
  EXPECT_EQ(Rng(7, 3, 5, Purpose::mask).next(), Rng(7, 3, 5, Purpose::mask).next());
}

TEST(Rng, MomentsOfUniformAndNormal) {
  Rng rng(1, 2, 3, Purpose::augment);
  double sum = 0, normal_sum = 0, normal_squares = 0;
  constexpr int n = 100000;
  for (int i = 0; i < n; ++i) {
    const double u = rng.uniform();
    ASSERT_TRUE(u >= 0 && u < 1);
    sum += u;
    const double z = rng.normal();
    normal_sum += z;
    normal_squares += z * z;
  }
  // Five standard errors.
  EXPECT_NEAR(sum / n, 0.5, 5 * 0.2887 / 316);
  EXPECT_NEAR(normal_sum / n, 0.0, 5.0 / 316);
  EXPECT_NEAR(normal_squares / n, 1.0, 5 * 1.414 / 316);
}

TEST(Rng, BelowIsUniformAndPermutationsAreWhole) {
  Rng rng(1, 0, 0, Purpose::shuffle);
  std::vector<int> count(3);
  for (int i = 0; i < 30000; ++i) ++count[static_cast<std::size_t>(rng.below(3))];
  for (const int c : count) EXPECT_NEAR(c, 10000, 5 * 82);
  auto order = rng.permutation(100);
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

}  // namespace
}  // namespace sgmae
