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

#include "sgmae/analysis/relations.h"

namespace sgmae {
namespace {

at::Tensor distance_of(const at::Tensor& p, std::int64_t columns, std::int64_t patch_size) {
  return attention_shape(p, 0, columns, patch_size).distance;
}

at::Tensor nmi_of(const at::Tensor& p) {
  return attention_shape(p, 0, 4, 1).nmi;
}

at::Tensor random_rows() {
  return (4 * at::rand({2, 3, 12, 12})).softmax(-1);
}

TEST(AttentionDistance, IsTheWeightedDistanceOfCentres) {
  const at::Tensor p = random_rows();  // 3 rows of 4 patches
  const at::Tensor distance = distance_of(p, 4, 16);
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
  EXPECT_EQ(distance_of(at::eye(6).view({1, 1, 6, 6}), 3, 16).item<float>(), 0);
  // A row of three patches, all on the first: distances 0, 1, 2 patches.
  at::Tensor first = at::zeros({1, 1, 3, 3});
  first.select(3, 0).fill_(1);
  EXPECT_FLOAT_EQ(distance_of(first, 3, 8).item<float>(), 8);
  // Uniform on 2 x 2: (0 + 1 + 1 + sqrt 2) / 4 patches.
  EXPECT_NEAR(distance_of(at::full({1, 1, 4, 4}, 0.25), 2, 1).item<double>(),
              (2 + std::sqrt(2.0)) / 4, 1e-6);
}

TEST(AttentionNmi, IsTheMutualInformation) {
  const at::Tensor p = random_rows();
  const at::Tensor nmi = nmi_of(p);
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

// What the prefix takes and gives does not matter; 1e-6: rows are scaled in fp32.
TEST(AttentionShape, IsThatOfThePatchesAlone) {
  const at::Tensor attention = (4 * at::rand({2, 3, 39, 39})).softmax(-1);
  const at::Tensor p = patch_attention(attention, 3);
  const WhereHeadsLook whole = attention_shape(attention, 3, 6, 8);
  const WhereHeadsLook patches = attention_shape(p.contiguous(), 0, 6, 8);
  EXPECT_LT((whole.distance - patches.distance).abs().max().item<double>(), 1e-6 * 8 * 6);
  EXPECT_LT((whole.nmi - patches.nmi).abs().max().item<double>(), 1e-6);
}

TEST(AttentionNmi, IsZeroForAlikeAndOneForEachItsOwn) {
  EXPECT_NEAR(nmi_of(at::full({1, 1, 16, 16}, 1.0 / 16)).item<double>(), 0, 1e-6);
  EXPECT_NEAR(nmi_of(at::eye(16).view({1, 1, 16, 16})).item<double>(), 1, 1e-5);
  // All queries on one key: nothing to know about the key.
  at::Tensor one = at::zeros({1, 1, 16, 16});
  one.select(3, 5).fill_(1);
  EXPECT_NEAR(nmi_of(one).item<double>(), 0, 1e-3);
  // Two groups of queries, each on one key: MI = H(k) = log 2, over sqrt(log 16 log 2).
  at::Tensor two = at::zeros({1, 1, 16, 16});
  two.slice(2, 0, 8).select(3, 0).fill_(1);
  two.slice(2, 8).select(3, 1).fill_(1);
  EXPECT_NEAR(nmi_of(two).item<double>(), 0.5, 1e-5);
}

}  // namespace
}  // namespace sgmae
