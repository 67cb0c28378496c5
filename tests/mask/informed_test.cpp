// Oracles: the numbers of the paper's setting (196 patches, 49 visible, 0.05 hints), worked out by
// hand, and the distributions that the draws must have.
#include "sgmae/mask/informed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

using Order = std::vector<std::int64_t>;

Order ordered(const std::vector<float>& relevance, std::int64_t visible, std::int64_t hints,
              HintStrategy strategy = HintStrategy::random,
              GuideTarget target = GuideTarget::object, std::uint64_t image = 0) {
  Order order(relevance.size());
  informed_order(relevance, visible, hints, strategy, target, Rng(1, 2, image, Purpose::hint),
                 order);
  return order;
}

// 0.00, 0.01 … in a scrambled but known order.
std::vector<float> ramp(int n) {
  std::vector<float> values(n);
  for (int i = 0; i < n; ++i) values[i] = 0.01f * static_cast<float>((i * 7) % n);
  return values;
}

TEST(HintCount, StartsAtTheRatioAndDecaysToTheFloor) {
  HintOptions options;  // 0.05, quadratic, floor 1
  EXPECT_EQ(hint_count(options, 196, 50, 50, 400), 10);
  EXPECT_EQ(hint_count(options, 196, 225, 50, 400), 7);  // 9.8 * (1 - 1/4) = 7.35
  EXPECT_EQ(hint_count(options, 196, 399, 50, 400), 1);
  EXPECT_EQ(hint_count(options, 196, 1000, 50, 400), 1);  // past the end
  options.floor = 3;
  EXPECT_EQ(hint_count(options, 196, 399, 50, 400), 3);
}

TEST(HintCount, FollowsEachLaw) {
  HintOptions options{.ratio = 0.5, .floor = 0};
  const auto half_way = [&](HintDecay law) {
    options.decay = law;
    return hint_count(options, 100, 50, 0, 100);
  };
  EXPECT_EQ(half_way(HintDecay::none), 50);
  EXPECT_EQ(half_way(HintDecay::linear), 25);
  EXPECT_EQ(half_way(HintDecay::cosine), 25);
  EXPECT_EQ(half_way(HintDecay::quadratic), 38);  // 37.5
  options.decay = HintDecay::cosine;
  EXPECT_EQ(hint_count(options, 100, 25, 0, 100), 43);  // 50 * 0.8536
}

TEST(HintCount, IsZeroWhenHintsAreOff) {
  EXPECT_EQ(hint_count({.strategy = HintStrategy::none}, 196, 0, 0, 10), 0);
  EXPECT_EQ(hint_count({.ratio = 0}, 196, 0, 0, 10), 0);
}

TEST(HintCount, SurvivesAStartAtTheEnd) {
  EXPECT_EQ(hint_count({}, 196, 10, 10, 10), 10);
  EXPECT_EQ(hint_count({}, 4, 0, 0, 10), 1);  // 0.2 tokens: the floor
}

TEST(CheckHints, RefusesWhatLeavesNothingMaskedOrVisible) {
  EXPECT_NO_THROW(check_hints({}, 196, 49));
  EXPECT_NO_THROW(check_hints({.ratio = 0.25}, 196, 49));
  const auto refused = [](const HintOptions& options, std::int64_t n, std::int64_t visible) {
    try {
      check_hints(options, n, visible);
    } catch (const Error& e) {
      return e.code() == ExitCode::usage;
    }
    return false;
  };
  EXPECT_TRUE(refused({.ratio = 0.26}, 196, 49));
  EXPECT_TRUE(refused({.ratio = 1}, 196, 49));
  EXPECT_TRUE(refused({.ratio = -0.1}, 196, 49));
  EXPECT_TRUE(refused({.floor = 50}, 196, 49));
  EXPECT_TRUE(refused({}, 196, 0));
  EXPECT_TRUE(refused({}, 196, 196));
}

TEST(TargetInEpoch, AlternatesFromTheStart) {
  EXPECT_EQ(target_in_epoch(GuideTarget::alternate, 7, 7), GuideTarget::object);
  EXPECT_EQ(target_in_epoch(GuideTarget::alternate, 8, 7), GuideTarget::background);
  EXPECT_EQ(target_in_epoch(GuideTarget::object, 8, 7), GuideTarget::object);
  EXPECT_EQ(target_in_epoch(GuideTarget::background, 7, 7), GuideTarget::background);
}

TEST(InformedOrder, IsAPermutation) {
  for (const HintStrategy strategy :
       {HintStrategy::random, HintStrategy::similarity, HintStrategy::none}) {
    Order order = ordered(ramp(50), 12, strategy == HintStrategy::none ? 0 : 4, strategy);
    std::sort(order.begin(), order.end());
    Order expected(50);
    std::iota(expected.begin(), expected.end(), 0);
    EXPECT_EQ(order, expected);
  }
}

TEST(InformedOrder, WithoutHintsHidesTheMostRelevant) {
  const std::vector<float> s = ramp(50);
  const Order object = ordered(s, 12, 0, HintStrategy::none);
  for (int i = 1; i < 50; ++i) EXPECT_LT(s[object[i - 1]], s[object[i]]);
  const Order background = ordered(s, 12, 0, HintStrategy::none, GuideTarget::background);
  EXPECT_EQ(background, Order(object.rbegin(), object.rend()));
}

TEST(InformedOrder, KeepsTheLeastRelevantAndDrawsHintsFromTheRest) {
  const std::vector<float> s = ramp(50);
  const Order order = ordered(s, 12, 4);
  for (int i = 0; i < 8; ++i) EXPECT_FLOAT_EQ(s[order[i]], 0.01f * static_cast<float>(i));
  for (int i = 8; i < 50; ++i) EXPECT_GT(s[order[i]], 0.075f);
}

TEST(InformedOrder, DrawsRandomHintsUniformly) {
  const std::vector<float> s = ramp(20);
  std::vector<int> count(20, 0);
  for (std::uint64_t image = 0; image < 6000; ++image) {
    const Order order = ordered(s, 5, 3, HintStrategy::random, GuideTarget::object, image);
    for (int i = 2; i < 5; ++i) ++count[order[i]];
  }
  // 3 of 18 candidates: Binomial(6000, 1/6), mean 1000, deviation 29; five deviations.
  for (int i = 0; i < 20; ++i)
    if (s[i] > 0.015f)
      EXPECT_NEAR(count[i], 1000, 145) << i;
    else
      EXPECT_EQ(count[i], 0);
}

TEST(InformedOrder, DrawsSimilarHintsInProportionToRelevance) {
  // One hint of four candidates: the first draw's odds are the weights themselves.
  const std::vector<float> s = {-0.9f, 0.1f, 0.2f, 0.7f, -0.5f};
  std::vector<int> count(5, 0);
  for (std::uint64_t image = 0; image < 10000; ++image)
    ++count[ordered(s, 2, 1, HintStrategy::similarity, GuideTarget::object, image)[1]];
  EXPECT_EQ(count[0], 0);            // kept, never drawn
  EXPECT_LE(count[4], 2);            // weight 1e-6
  EXPECT_NEAR(count[1], 1000, 150);  // deviation 30
  EXPECT_NEAR(count[2], 2000, 200);
  EXPECT_NEAR(count[3], 7000, 230);
}

// Whichever side is hidden.
TEST(InformedOrder, DrawsSimilarHintsOfTheBackgroundByRelevanceToo) {
  const std::vector<float> s = {0.9f, 0.1f, 0.2f, 0.7f, 0.0f};
  std::vector<int> count(5, 0);
  for (std::uint64_t image = 0; image < 10000; ++image)
    ++count[ordered(s, 2, 1, HintStrategy::similarity, GuideTarget::background, image)[1]];
  EXPECT_EQ(count[0], 0);  // kept, never drawn
  EXPECT_LE(count[4], 2);
  EXPECT_NEAR(count[1], 1000, 150);
  EXPECT_NEAR(count[2], 2000, 200);
  EXPECT_NEAR(count[3], 7000, 230);
}

TEST(InformedOrder, FavoursNoPositionAmongEqualScores) {
  const std::vector<float> s(16, 0.5f);
  std::vector<int> count(16, 0);
  for (std::uint64_t image = 0; image < 4000; ++image)
    for (int i = 0; i < 4; ++i)
      ++count[ordered(s, 4, 0, HintStrategy::none, GuideTarget::object, image)[i]];
  for (const int c : count) EXPECT_NEAR(c, 1000, 137);  // deviation 27, five of them
}

TEST(InformedOrder, TakesAsManyHintsAsVisiblePatches) {
  EXPECT_EQ(ordered(ramp(4), 2, 2).size(), 4u);
  EXPECT_EQ(ordered(ramp(4), 4, 4).size(), 4u);
  EXPECT_THROW(ordered(ramp(4), 2, 3), std::logic_error);  // check_hints refuses it before
}

TEST(InformedOrder, IsTheSameForTheSameKey) {
  EXPECT_EQ(ordered(ramp(50), 12, 4), ordered(ramp(50), 12, 4));
  EXPECT_NE(ordered(ramp(50), 12, 4),
            ordered(ramp(50), 12, 4, HintStrategy::random, GuideTarget::object, 1));
}

}  // namespace
}  // namespace sgmae
