// Oracles: closed forms (uniform, identity, one-hot attention) and plain fp64 loops.
#include "sgmae/analysis/attention_shape.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace sgmae {
namespace {

at::Tensor random_rows() {
  return (4 * at::rand({2, 3, 12, 12})).softmax(-1);
}

TEST(AttentionDistance, IsTheWeightedDistanceOfCentres) {
  const at::Tensor p = random_rows();  // 3 rows of 4 patches
  const at::Tensor distance = attention_distance(p, 4, 16);
  for (int b = 0; b < 2; ++b)
    for (int h = 0; h < 3; ++h) {
      double total = 0;
      for (int i = 0; i < 12; ++i)
        for (int j = 0; j < 12; ++j) {
          const double down = i / 4 - j / 4, across = i % 4 - j % 4;
          total += p[b][h][i][j].item<double>() * 16 * std::sqrt(down * down + across * across);
        }
      EXPECT_NEAR(distance[b][h].item<double>(), total / 12, 1e-4);  // fp32 sum of 144 terms
    }
}

TEST(AttentionDistance, ClosedForms) {
  EXPECT_EQ(attention_distance(at::eye(6).view({1, 1, 6, 6}), 3, 16).item<float>(), 0);
  // A row of three patches, all on the first: distances 0, 1, 2 patches.
  at::Tensor first = at::zeros({1, 1, 3, 3});
  first.select(3, 0).fill_(1);
  EXPECT_FLOAT_EQ(attention_distance(first, 3, 8).item<float>(), 8);
  // Uniform on 2 x 2: (0 + 1 + 1 + sqrt 2) / 4 patches.
  EXPECT_NEAR(attention_distance(at::full({1, 1, 4, 4}, 0.25), 2, 1).item<double>(),
              (2 + std::sqrt(2.0)) / 4, 1e-6);
}

TEST(AttentionNmi, IsTheMutualInformation) {
  const at::Tensor p = random_rows();
  const at::Tensor nmi = attention_nmi(p);
  for (int b = 0; b < 2; ++b)
    for (int h = 0; h < 3; ++h) {
      std::vector<double> key(12, 0.0);
      for (int i = 0; i < 12; ++i)
        for (int j = 0; j < 12; ++j) key[j] += p[b][h][i][j].item<double>() / 12;
      double information = 0, entropy = 0;
      for (int j = 0; j < 12; ++j) entropy -= key[j] * std::log(key[j]);
      for (int i = 0; i < 12; ++i)
        for (int j = 0; j < 12; ++j) {
          const double a = p[b][h][i][j].item<double>();
          information += a / 12 * std::log(a / key[j]);
        }
      EXPECT_NEAR(nmi[b][h].item<double>(), information / std::sqrt(std::log(12.0) * entropy),
                  1e-5);  // a difference of two entropies in fp32, and the added 1e-8
    }
}

TEST(AttentionNmi, IsZeroForAlikeAndOneForEachItsOwn) {
  EXPECT_NEAR(attention_nmi(at::full({1, 1, 16, 16}, 1.0 / 16)).item<double>(), 0, 1e-6);
  EXPECT_NEAR(attention_nmi(at::eye(16).view({1, 1, 16, 16})).item<double>(), 1, 1e-5);
  // All queries on one key: nothing to know about the key.
  at::Tensor one = at::zeros({1, 1, 16, 16});
  one.select(3, 5).fill_(1);
  EXPECT_NEAR(attention_nmi(one).item<double>(), 0, 1e-3);
  // Two groups of queries, each on one key: MI = H(k) = log 2, over sqrt(log 16 log 2).
  at::Tensor two = at::zeros({1, 1, 16, 16});
  two.slice(2, 0, 8).select(3, 0).fill_(1);
  two.slice(2, 8).select(3, 1).fill_(1);
  EXPECT_NEAR(attention_nmi(two).item<double>(), 0.5, 1e-5);
}

}  // namespace
}  // namespace sgmae
