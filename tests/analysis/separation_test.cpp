// Oracles: planted blocks, and the definition in plain loops over pairs.
#include "sgmae/analysis/separation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

namespace sgmae {
namespace {

TEST(Separation, OfPlantedBlocksIsWhatWasPlanted) {
  at::Tensor m = at::zeros({1, 6, 6}) + 0.1;
  m.slice(1, 0, 2).slice(2, 0, 2).fill_(0.8);
  m.slice(1, 2).slice(2, 2).fill_(0.8);
  at::Tensor side = at::zeros({1, 6}, at::kByte);
  side.slice(1, 0, 2).fill_(1);
  const Separation s = separation(m, side);
  EXPECT_NEAR(s.intra.item<double>(), 0.8, 1e-6);
  EXPECT_NEAR(s.inter.item<double>(), 0.1, 1e-6);
}

// 1e-6: fp32 sums of values below 1. Relations need not be symmetric (A is not).
TEST(Separation, IsTheMeanOverPairs) {
  const at::Tensor m = at::rand({4, 7, 7});
  at::Tensor side = at::randint(0, 2, {4, 7}, at::kByte);
  side.select(1, 0).fill_(1);
  side.select(1, 1).fill_(0);
  const Separation s = separation(m, side);
  for (int b = 0; b < 4; ++b) {
    double total[2] = {}, count[2] = {};
    for (int i = 0; i < 7; ++i)
      for (int j = 0; j < 7; ++j)
        if (i != j) {
          const bool apart = side[b][i].item<int>() != side[b][j].item<int>();
          total[apart] += m[b][i][j].item<double>();
          ++count[apart];
        }
    EXPECT_NEAR(s.intra[b].item<double>(), total[0] / count[0], 1e-6);
    EXPECT_NEAR(s.inter[b].item<double>(), total[1] / count[1], 1e-6);
  }
}

TEST(Separation, NeedsTwoSides) {
  const Separation s = separation(at::rand({2, 4, 4}), at::zeros({2, 4}));
  EXPECT_TRUE(std::isnan(s.intra[0].item<double>()));
  EXPECT_TRUE(std::isnan(s.inter[1].item<double>()));
}

}  // namespace
}  // namespace sgmae
