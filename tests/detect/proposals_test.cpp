// Oracle: rules written out. Losses and proposals are held against torchvision's in the whole
// model's test.
#include "sgmae/detect/proposals.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/detect/golden.h"

namespace sgmae {
namespace {

at::Tensor boxes(std::initializer_list<float> values) {
  return at::tensor(std::vector<float>(values)).view({-1, 4});
}

const Draw first_ones = [](std::int64_t, std::int64_t count) { return at::arange(count); };

AnchorScores scores_of(const at::Tensor& anchors, const at::Tensor& objectness,
                       std::vector<std::int64_t> of_level) {
  return {objectness, at::zeros({anchors.size(0), 4}), anchors, std::move(of_level)};
}

TEST(Proposals, AreTheBestOfEachLevelThatDoNotOverlapWithinIt) {
  ProposalConfig config;
  config.before_nms_training = 2;
  // Level 0: three boxes, of which the two best are looked at and are one place; level 1: that
  // place again, which another level does not suppress.
  const at::Tensor place = boxes({0, 0, 10, 10}), aside = boxes({30, 30, 40, 40});
  const AnchorScores scores =
      scores_of(at::cat({place, place, aside, place}), at::tensor({3.f, 2.f, 1.f, 5.f}), {3, 1});
  EXPECT_TRUE(proposals(scores, 50, 50, config, true).equal(at::cat({place, place})));
  config.before_nms = 3;
  EXPECT_TRUE(proposals(scores, 50, 50, config, false).equal(at::cat({place, place, aside})));
  config.after_nms = 1;
  EXPECT_TRUE(proposals(scores, 50, 50, config, false).equal(place));
}

TEST(Proposals, WhatIsNoBoxOfTheImageIsLeftOut) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor good = boxes({10, 10, 20, 20});
  AnchorScores scores = scores_of(at::cat({boxes({60, 0, 70, 10}), good, good, good}),
                                  at::tensor({9.f, nan, 1.f, 2.f}), {4});
  scores.deltas[2].fill_(nan);
  EXPECT_TRUE(proposals(scores, 50, 50, {}, true).equal(good));
}

TEST(MatchCandidates, WhatLiesInACrowdIsNoBackground) {
  const at::Tensor candidates = boxes({0, 0, 10, 10, 0, 0, 20, 10, 0, 0, 30, 10, 0, 20, 10, 30});
  const at::Tensor crowd = boxes({0, 0, 10, 15}), object = boxes({0, 0, 10, 10});
  // In it by all, one half, a third, nothing; but the first is the object.
  EXPECT_TRUE(match_candidates(candidates, object, crowd, {0.6, 0.7, true})
                  .equal(at::tensor({0L, undecided, background, background}, at::kLong)));
}

TEST(ProposalLoss, IsOfTheDrawnAnchors) {
  ProposalConfig config;
  config.samples = 3;
  const at::Tensor object = boxes({0, 0, 10, 10});
  const AnchorScores scores =
      scores_of(boxes({0, 0, 10, 10, 20, 20, 30, 30, 30, 30, 40, 40, 0, 0, 10, 20}),
                at::tensor({2.f, 0.f, -1.f, 7.f}), {4});  // the last is undecided: overlap 1/2
  const ProposalLoss loss = proposal_loss(scores, object, at::zeros({0, 4}), config, first_ones);
  EXPECT_EQ(loss.anchors, 3);
  const double expected = std::log1p(std::exp(-2.0)) + std::log(2.0) + std::log1p(std::exp(-1.0));
  EXPECT_NEAR(loss.objectness.item<double>(), expected, 1e-6);
  EXPECT_EQ(loss.box.item<double>(), 0) << "it lies where it should";
}

TEST(SmoothL1, TurnsWhereItIsTold) {
  const at::Tensor x = at::tensor({0.05f, 0.5f, -2.f}), zero = at::zeros({3});
  EXPECT_NEAR(smooth_l1_sum(x, zero, 0).item<double>(), 2.55, 1e-6);
  EXPECT_NEAR(smooth_l1_sum(x, zero, 0.1).item<double>(), 0.5 * 0.05 * 0.05 / 0.1 + 2.5 - 0.1,
              1e-6);
}

}  // namespace
}  // namespace sgmae
