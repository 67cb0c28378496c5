// Oracles: shares and means counted by eye; sums in double precision.
#include "sgmae/ncut/object_side.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <string>

namespace sgmae {
namespace {

// A cut of one image whose object side is '#', in rows.
Bipartition drawn(const std::string& picture) {
  Bipartition cut;
  const auto n = static_cast<std::int64_t>(picture.size());
  cut.object_side = at::zeros({1, n}, at::kByte);
  cut.eigenvector = at::full({1, n}, -0.1, at::kFloat);
  for (std::int64_t i = 0; i < n; ++i)
    if (picture[i] == '#') {
      cut.object_side[0][i] = 1;
      cut.eigenvector[0][i] = 0.3;
    }
  cut.degenerate = {0};
  return cut;
}

void take_inner_side(Bipartition& cut, std::int64_t columns) {
  take_higher_side(cut, inner_patches(cut.object_side.size(1), columns).unsqueeze(0));
}

TEST(TakeHigherSide, ExchangesSidesThatLieAlongTheBorder) {
  const auto stays = [](const std::string& picture, std::int64_t columns) {
    const Bipartition before = drawn(picture);
    Bipartition after = drawn(picture);
    take_inner_side(after, columns);
    const bool same = after.object_side.equal(before.object_side);
    EXPECT_TRUE(after.eigenvector.equal(same ? before.eigenvector : -before.eigenvector));
    EXPECT_TRUE(after.object_side.equal(same ? before.object_side : 1 - before.object_side));
    return same;
  };
  EXPECT_TRUE(
      stays("....."
            ".##.."
            ".##.."
            ".....",
            5));  // ring 0/14, inside 4/6
  EXPECT_FALSE(
      stays("#####"
            "#..##"
            "#..##"
            "#####",
            5));  // ring 14/14, inside 2/6
  EXPECT_TRUE(
      stays("....."
            ".###."
            ".###."
            ".###.",
            5));  // larger than the surroundings' inside: ring 3/14, inside 6/6
  EXPECT_FALSE(
      stays("####."
            "#...."
            "....."
            ".....",
            5));  // small, in a corner: ring 5/14, inside 0/6
  EXPECT_TRUE(
      stays("...###"
            "...###"
            "...###"
            "...###",
            6));                  // alike: half of both
  EXPECT_TRUE(stays("##..", 2));  // nothing lies within

  Bipartition degenerate = drawn("####.####");
  degenerate.degenerate = {1};
  take_inner_side(degenerate, 3);
  EXPECT_EQ(degenerate.object_side[0][0].item<int>(), 1);
}

TEST(TakeHigherSide, LooksAtTheMeansOfEachImage) {
  Bipartition cut = drawn("##..");
  cut.object_side = at::cat({cut.object_side, cut.object_side, cut.object_side});
  cut.eigenvector = at::cat({cut.eigenvector, cut.eigenvector, cut.eigenvector});
  cut.degenerate = {0, 0, 1};
  const at::Tensor score =
      at::tensor({3.f, 0.f, 1.f, 1.f, 0.f, 1.f, 1.f, 1.f, 0.f, 1.f, 1.f, 1.f}).view({3, 4});
  take_higher_side(cut, score);  // means 1.5 and 1; 0.5 and 1; a degenerate one
  EXPECT_TRUE(cut.object_side.equal(
      at::tensor({1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0}, at::kByte).view({3, 4})));
  EXPECT_NEAR(cut.eigenvector[1][2].item<float>(), 0.1, 1e-6);
}

TEST(TakeSmallerSide, LeavesHalves) {
  for (const auto& [picture, stays] : {std::pair{"#...", true}, {"##..", true}, {"###.", false}}) {
    Bipartition cut = drawn(picture);
    take_smaller_side(cut);
    EXPECT_EQ(cut.object_side.equal(drawn(picture).object_side), stays) << picture;
  }
}

TEST(NegativeDegree, IsLessTheSumOfClampedWeights) {
  const at::Tensor similarity = 2 * at::rand({2, 5, 5}) - 1;
  const at::Tensor score = negative_degree(similarity, {.tau = 0.1, .epsilon = 0.01});
  const at::Tensor binary =
      negative_degree(similarity, {.tau = 0.1, .epsilon = 0.01, .binary = true});
  for (int b = 0; b < 2; ++b)
    for (int i = 0; i < 5; ++i) {
      double degree = 0, edges = 0;
      for (int j = 0; j < 5; ++j) {
        const float m = similarity[b][i][j].item<float>();
        degree += m < 0.1f ? 0.01 : m;
        edges += m < 0.1f ? 0.01 : 1;
      }
      EXPECT_NEAR(score[b][i].item<float>(), -degree, 1e-5);
      EXPECT_NEAR(binary[b][i].item<float>(), -edges, 1e-5);
    }
}

}  // namespace
}  // namespace sgmae
