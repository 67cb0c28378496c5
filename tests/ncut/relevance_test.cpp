// Oracle: Eq. 8 written out in plain loops, fp64.
#include "sgmae/ncut/relevance.h"

#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace sgmae {
namespace {

double slow_relevance(const at::Tensor& x, const at::Tensor& side, std::int64_t i) {
  const std::int64_t n = x.size(0), d = x.size(1);
  std::vector<double> mean(d, 0.0);
  double count = 0;
  for (std::int64_t j = 0; j < n; ++j) {
    if (side[j].item<int>() == 0) continue;
    ++count;
    for (std::int64_t k = 0; k < d; ++k) mean[k] += x[j][k].item<double>();
  }
  double dot = 0, mean_squares = 0, squares = 0;
  for (std::int64_t k = 0; k < d; ++k) {
    const double a = mean[k] / count, b = x[i][k].item<double>();
    dot += a * b;
    mean_squares += a * a;
    squares += b * b;
  }
  return dot / std::sqrt(mean_squares * squares);
}

TEST(Relevance, IsTheCosineToTheMeanOfTheObjectSide) {
  const at::Tensor x = at::randn({3, 10, 6});
  at::Tensor side = at::rand({3, 10}).lt(0.4).to(at::kByte);
  for (int b = 0; b < 3; ++b) side[b][b] = 1;
  const at::Tensor s = relevance(x, side);
  ASSERT_EQ(s.sizes(), at::IntArrayRef({3, 10}));
  for (int b = 0; b < 3; ++b)
    for (int i = 0; i < 10; ++i)
      EXPECT_NEAR(s[b][i].item<double>(), slow_relevance(x[b], side[b], i), 2e-6);  // fp32 sums
}

TEST(Relevance, WithoutAnObjectSideIsNaN) {
  at::Tensor side = at::zeros({2, 5}, at::kByte);
  side[1].fill_(1);
  const at::Tensor s = relevance(at::randn({2, 5, 3}), side);
  EXPECT_TRUE(s[0].isnan().all().item<bool>());
  EXPECT_TRUE(s[1].isfinite().all().item<bool>());
}

TEST(Relevance, OfAZeroFeatureIsZero) {
  at::Tensor x = at::randn({1, 4, 3});
  x[0][3].zero_();
  const at::Tensor s = relevance(x, at::zeros({1, 4}, at::kByte).fill_(1));
  EXPECT_EQ(s[0][3].item<float>(), 0.0f);
}

}  // namespace
}  // namespace sgmae
