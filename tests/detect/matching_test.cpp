// Oracle: torchvision's Matcher on overlaps with many ties (tests/golden/detect.py).
#include "sgmae/detect/matching.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <set>

#include "sgmae/detect/boxes.h"
#include "tests/detect/golden.h"

namespace sgmae {
namespace {

TEST(Matching, IsTorchvisions) {
  const Golden& golden = golden_operations();
  EXPECT_TRUE(match(golden["match.overlap"], {0.3, 0.7, true}).equal(golden["match.proposals"]));
  EXPECT_TRUE(match(golden["match.overlap"], {0.5, 0.5, false}).equal(golden["match.boxes"]));
}

TEST(Matching, WithoutObjectsEverythingIsBackground) {
  EXPECT_TRUE(match(at::zeros({0, 7}), {}).equal(at::full({7}, background, at::kLong)));
}

// So many that overlaps are taken in parts: 3,000 objects and 9,000 candidates on a grid.
TEST(Matching, OfManyBoxesIsThatOfAllOverlaps) {
  const auto some = [](std::int64_t n, std::uint64_t seed) {
    const at::Tensor corner = noise({n, 2}, seed).abs().mul(40).round();
    return at::cat({corner, corner.add(noise({n, 2}, seed + 1).abs().mul(10).round()).add(1)}, 1);
  };
  const at::Tensor objects = some(3000, 1), candidates = some(9000, 3);
  const Thresholds thresholds{0.3, 0.7, true};
  EXPECT_TRUE(match(objects, candidates, thresholds)
                  .equal(match(overlap(objects, candidates).contiguous(), thresholds)));
  const auto [best, first] = overlap(objects, candidates).max(0);
  const at::Tensor sure = best.ge(0.7).nonzero().view({-1});
  EXPECT_GT(sure.numel(), 100);
  EXPECT_TRUE(match(objects, candidates, thresholds)
                  .index_select(0, sure)
                  .equal(first.index_select(0, sure)));
}

std::set<std::int64_t> values(const at::Tensor& x) {
  return {x.data_ptr<std::int64_t>(), x.data_ptr<std::int64_t>() + x.numel()};
}

TEST(Sample, HasAtMostItsShareOfPositivesAndFillsUpWithNegatives) {
  // 40 that stand for something, 5 undecided, 100 background.
  const at::Tensor matched = at::cat({at::arange(40), at::full({5}, undecided, at::kLong),
                                      at::full({100}, background, at::kLong)});
  const Sample some = sample(matched, 64, 0.25, random_draw(1, 2, 3));
  EXPECT_EQ(some.positives.size(0), 16);
  EXPECT_EQ(some.negatives.size(0), 48);
  EXPECT_EQ(values(some.positives).size(), 16u) << "each once";
  EXPECT_EQ(values(some.negatives).size(), 48u);
  EXPECT_TRUE(some.positives.lt(40).all().item<bool>());
  EXPECT_TRUE(some.negatives.ge(45).all().item<bool>());

  const Sample all = sample(matched, 200, 0.5, random_draw(1, 2, 3));
  EXPECT_EQ(all.positives.size(0), 40);
  EXPECT_EQ(all.negatives.size(0), 100);
}

TEST(Sample, IsKeyedBySeedEpochAndImageAndEveryDrawIsAnother) {
  const Draw first = random_draw(1, 2, 3), again = random_draw(1, 2, 3);
  const at::Tensor one = first(1000, 20), two = first(1000, 20);
  EXPECT_TRUE(again(1000, 20).equal(one));
  EXPECT_TRUE(again(1000, 20).equal(two));
  EXPECT_FALSE(one.equal(two));
  for (const Draw& other : {random_draw(2, 2, 3), random_draw(1, 3, 3), random_draw(1, 2, 4)})
    EXPECT_FALSE(other(1000, 20).equal(one));
}

// Each of 10 is among the chosen 3 in 3 of 10 draws: 3000 expected of 10,000, deviation 46.
TEST(Sample, ChoosesAllAlikeOften) {
  const Draw draw = random_draw(0, 0, 0);
  std::vector<int> chosen(10, 0);
  for (int i = 0; i < 10000; ++i)
    for (const std::int64_t one : values(draw(10, 3))) ++chosen[static_cast<std::size_t>(one)];
  for (const int count : chosen) EXPECT_NEAR(count, 3000, 5 * 46);
}

}  // namespace
}  // namespace sgmae
