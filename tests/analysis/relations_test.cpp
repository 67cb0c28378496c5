// Oracles: closed forms (uniform, identity, one-hot attention) and the definitions in plain fp64
// loops.
#include "sgmae/analysis/relations.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

at::Tensor random_attention(std::int64_t images, std::int64_t heads, std::int64_t n) {
  return (3 * at::rand({images, heads, n + 1, n + 1})).softmax(-1);
}

double at3(const at::Tensor& x, std::int64_t i, std::int64_t j, std::int64_t k) {
  return x[i][j][k].item<double>();
}

// 1e-6: fp32 sums of values below 1.
TEST(PatchAttention, DropsClsAndRenormalisesEveryHead) {
  const at::Tensor attention = random_attention(2, 3, 5);
  const at::Tensor p = patch_attention(attention);
  ASSERT_EQ(p.sizes(), (std::vector<std::int64_t>{2, 3, 5, 5}));
  for (int b = 0; b < 2; ++b)
    for (int h = 0; h < 3; ++h)
      for (int i = 0; i < 5; ++i) {
        double total = 0;
        for (int j = 0; j < 5; ++j) total += at3(attention[b], h, i + 1, j + 1);
        for (int j = 0; j < 5; ++j)
          EXPECT_NEAR(at3(p[b], h, i, j), at3(attention[b], h, i + 1, j + 1) / total, 1e-6);
      }
}

TEST(AttentionRelation, AveragesHeadsBeforeClsIsDropped) {
  const at::Tensor attention = random_attention(2, 3, 5);
  const at::Tensor a = attention_relation(attention);
  for (int b = 0; b < 2; ++b)
    for (int i = 0; i < 5; ++i) {
      double row[5] = {}, total = 0;
      for (int j = 0; j < 5; ++j) {
        for (int h = 0; h < 3; ++h) row[j] += at3(attention[b], h, i + 1, j + 1) / 3;
        total += row[j];
      }
      for (int j = 0; j < 5; ++j) EXPECT_NEAR(at3(a, b, i, j), row[j] / total, 1e-6);
    }
  const at::Tensor uniform = attention_relation(at::full({1, 2, 9, 9}, 1.0 / 9));
  EXPECT_LT((uniform - 1.0 / 8).abs().max().item<double>(), 1e-7);
}

TEST(SimilarityToMean, IsTheCosineAndHasClosedForms) {
  const at::Tensor x = at::randn({2, 4, 3});
  const at::Tensor s = similarity_to_mean(x);
  for (int b = 0; b < 2; ++b) {
    double mean[3] = {};
    for (int i = 0; i < 4; ++i)
      for (int d = 0; d < 3; ++d) mean[d] += at3(x, b, i, d) / 4;
    for (int i = 0; i < 4; ++i) {
      double dot = 0, a = 0, m = 0;
      for (int d = 0; d < 3; ++d) {
        dot += at3(x, b, i, d) * mean[d];
        a += at3(x, b, i, d) * at3(x, b, i, d);
        m += mean[d] * mean[d];
      }
      EXPECT_NEAR(s[b][i].item<double>(), dot / std::sqrt(a * m), 1e-5);  // fp32 dot products
    }
  }
  // Constant image: all 1. Orthonormal patches: the mean of N has cosine N^-1/2 with each.
  EXPECT_LT((similarity_to_mean(at::ones({1, 6, 4})) - 1).abs().max().item<double>(), 1e-6);
  EXPECT_LT((similarity_to_mean(at::eye(9).unsqueeze(0)) - 1.0 / 3).abs().max().item<double>(),
            1e-6);
}

TEST(ClsAttention, IsTheFirstRowWithoutItsFirstEntry) {
  const at::Tensor attention = random_attention(2, 3, 5);
  const at::Tensor c = cls_attention(attention);
  for (int b = 0; b < 2; ++b)
    for (int j = 0; j < 5; ++j) {
      double mean = 0;
      for (int h = 0; h < 3; ++h) mean += at3(attention[b], h, 0, j + 1) / 3;
      EXPECT_NEAR(c[b][j].item<double>(), mean, 1e-6);
    }
}

TEST(ClsAttention, NeedsAClassToken) {
  const at::Tensor attention = random_attention(2, 3, 5);
  EXPECT_THROW(cls_attention(attention, 0), Error);
  EXPECT_THROW(attention_rollout({attention}, 0), Error);
}

TEST(MinMax, ScalesEachImageAndLeavesConstantsAtZero) {
  at::Tensor x = at::randn({2, 3, 4}).mul(7).sub(2);
  x[1].fill_(5);
  const at::Tensor y = min_max(x);
  ASSERT_EQ(y.sizes(), x.sizes());
  EXPECT_EQ(y[0].min().item<float>(), 0);
  EXPECT_EQ(y[0].max().item<float>(), 1);
  EXPECT_EQ(y[1].abs().max().item<float>(), 0);
}

TEST(AttentionRollout, IsTheProductOfMixedLayers) {
  const std::vector<at::Tensor> layers{random_attention(2, 2, 4), random_attention(2, 2, 4),
                                       random_attention(2, 2, 4)};
  const at::Tensor r = attention_rollout(layers);
  for (int b = 0; b < 2; ++b) {
    std::vector<std::vector<double>> product(5, std::vector<double>(5, 0.0));
    for (int i = 0; i < 5; ++i) product[i][i] = 1;
    for (const at::Tensor& layer : layers) {
      auto next = std::vector<std::vector<double>>(5, std::vector<double>(5, 0.0));
      for (int i = 0; i < 5; ++i)
        for (int k = 0; k < 5; ++k) {
          const double mixed =
              (at3(layer[b], 0, i, k) + at3(layer[b], 1, i, k)) / 4 + (i == k ? 0.5 : 0.0);
          for (int j = 0; j < 5; ++j) next[i][j] += mixed * product[k][j];
        }
      product = next;
    }
    const double patches = product[0][1] + product[0][2] + product[0][3] + product[0][4];
    for (int j = 0; j < 4; ++j)
      EXPECT_NEAR(r[b][j].item<double>(), product[0][j + 1] / patches, 1e-6);
  }
  EXPECT_LT((attention_rollout({at::full({1, 1, 5, 5}, 0.2)}) - 0.25).abs().max().item<double>(),
            1e-6);
  // Identity attention: CLS keeps to itself, nothing comes from any patch.
  EXPECT_EQ(attention_rollout({at::eye(5).view({1, 1, 5, 5})}).abs().max().item<double>(), 0);
}

TEST(RelationDivergence, IsTheMeanOverRows) {
  const at::Tensor p = at::randn({3, 6, 6}).softmax(-1), q = at::randn({3, 6, 6}).softmax(-1);
  const at::Tensor d = relation_divergence(p, q);
  for (int b = 0; b < 3; ++b) {
    double total = 0;
    for (int i = 0; i < 6; ++i)
      for (int j = 0; j < 6; ++j)
        total += at3(p, b, i, j) * std::log(at3(p, b, i, j) / at3(q, b, i, j));
    EXPECT_NEAR(d[b].item<double>(), total / 6, 1e-5);  // fp32 logarithms
  }
  EXPECT_EQ(relation_divergence(p, p).abs().max().item<double>(), 0);
  // One-hot rows against uniform ones: log N.
  EXPECT_NEAR(
      relation_divergence(at::eye(8).unsqueeze(0), at::full({1, 8, 8}, 0.125)).item<double>(),
      std::log(8.0), 1e-6);
}

TEST(Relations, LeaveRegistersOutToo) {
  const at::Tensor attention = random_attention(1, 2, 6);  // CLS, two registers, four patches
  ASSERT_EQ(attention_relation(attention, 3).sizes(), (std::vector<std::int64_t>{1, 4, 4}));
  const at::Tensor without = attention.slice(2, 2).slice(3, 2);  // a register in place of CLS
  EXPECT_TRUE(attention_relation(attention, 3).equal(attention_relation(without)));
  EXPECT_TRUE(patch_attention(attention, 3).equal(patch_attention(without)));
  EXPECT_TRUE(cls_attention(attention, 3).equal(cls_attention(attention).slice(1, 2)));
  EXPECT_EQ(attention_rollout({attention, attention}, 3).size(1), 4);
}

TEST(Relations, LetNaNThrough) {
  at::Tensor attention = random_attention(1, 2, 4);
  attention[0][1][2][3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(attention_relation(attention).isnan().any().item<bool>());
  EXPECT_TRUE(patch_attention(attention).isnan().any().item<bool>());
}

}  // namespace
}  // namespace sgmae
