// Oracles: closed forms and the definitions in plain fp64 loops, sigma_F by both algebraic forms.
#include "sgmae/analysis/variance.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace sgmae {
namespace {

using Rows = std::vector<std::vector<double>>;

Rows rows_of(const at::Tensor& x) {
  Rows rows(x.size(0), std::vector<double>(x.size(1)));
  for (std::int64_t i = 0; i < x.size(0); ++i)
    for (std::int64_t d = 0; d < x.size(1); ++d) rows[i][d] = x[i][d].item<double>();
  return rows;
}

Rows unit(Rows rows) {
  for (auto& row : rows) {
    double square = 0;
    for (const double v : row) square += v * v;
    for (double& v : row) v /= std::sqrt(square);
  }
  return rows;
}

// Population variance over rows, per dimension.
std::vector<double> variances(const Rows& rows) {
  std::vector<double> result;
  for (std::size_t d = 0; d < rows[0].size(); ++d) {
    double mean = 0, square = 0;
    for (const auto& row : rows) mean += row[d] / static_cast<double>(rows.size());
    for (const auto& row : rows)
      square += (row[d] - mean) * (row[d] - mean) / static_cast<double>(rows.size());
    result.push_back(square);
  }
  return result;
}

double sum(const std::vector<double>& values) {
  double total = 0;
  for (const double v : values) total += v;
  return total;
}

// 1e-6: fp32 arithmetic on values of order 1.
TEST(FeatureVariance, EqualsBothFormsOfEquationThree) {
  const at::Tensor x = at::randn({3, 7, 5}) + 1;
  const at::Tensor variance = feature_variance(x);
  for (int b = 0; b < 3; ++b) {
    const Rows u = unit(rows_of(x[b]));
    EXPECT_NEAR(variance[b].item<double>(), sum(variances(u)), 1e-6);
    double mean_length = 0;  // |mean u|^2
    for (std::size_t d = 0; d < 5; ++d) {
      double mean = 0;
      for (const auto& row : u) mean += row[d] / 7;
      mean_length += mean * mean;
    }
    EXPECT_NEAR(variance[b].item<double>(), 1 - mean_length, 1e-6);
  }
}

TEST(FeatureVariance, OfConstantOppositeAndOrthogonalTokens) {
  EXPECT_NEAR(feature_variance(at::ones({1, 6, 4})).item<double>(), 0, 1e-7);
  const at::Tensor half = at::ones({1, 3, 4});
  EXPECT_NEAR(feature_variance(at::cat({half, -2 * half}, 1)).item<double>(), 1, 1e-6);
  EXPECT_NEAR(feature_variance(5 * at::eye(8).unsqueeze(0)).item<double>(), 1 - 1.0 / 8, 1e-6);
}

TEST(SimilarityVariance, LooksAtPairsOnly) {
  const at::Tensor m = at::randn({2, 6, 6});
  const auto [raw, normalised] = similarity_variance(m);
  for (int b = 0; b < 2; ++b) {
    std::vector<double> pairs;
    for (int i = 0; i < 6; ++i)
      for (int j = 0; j < 6; ++j)
        if (i != j) pairs.push_back(m[b][i][j].item<double>());
    double mean = sum(pairs) / 30, square = 0;
    for (const double p : pairs) square += (p - mean) * (p - mean) / 30;
    const auto [low, high] = std::minmax_element(pairs.begin(), pairs.end());
    EXPECT_NEAR(raw[b].item<double>(), square, 1e-5);
    EXPECT_NEAR(normalised[b].item<double>(), square / ((*high - *low) * (*high - *low)), 1e-6);
  }
}

// Two planted halves of n patches, 1 within and c between: n (n-1) 2 ones, 2 n^2 of c.
TEST(SimilarityVariance, OfPlantedHalves) {
  const int n = 4;
  const double c = -0.2;
  at::Tensor m = at::ones({1, 2 * n, 2 * n});
  m.slice(1, 0, n).slice(2, n).fill_(c);
  m.slice(1, n).slice(2, 0, n).fill_(c);
  const double share = 2.0 * n * n / (2 * n * (2 * n - 1));  // of pairs between
  EXPECT_NEAR(similarity_variance(m).raw.item<double>(), share * (1 - share) * (1 - c) * (1 - c),
              1e-6);
  EXPECT_NEAR(similarity_variance(m).normalised.item<double>(), share * (1 - share), 1e-6);
  EXPECT_EQ(similarity_variance(at::ones({1, 4, 4})).normalised.item<double>(), 0);
}

TEST(MaskTokenVariance, IsThatOfTheMaskedRows) {
  const at::Tensor x = at::randn({2, 8, 5}) + 0.5;
  at::Tensor mask = at::zeros({2, 8});
  mask.slice(1, 2, 7).fill_(1);
  const MaskTokenVariance variance = mask_token_variance(x, mask);
  for (int b = 0; b < 2; ++b) {
    const Rows rows = rows_of(x[b].slice(0, 2, 7));
    EXPECT_NEAR(variance.direction[b].item<double>(), sum(variances(unit(rows))), 1e-6);
    EXPECT_NEAR(variance.raw[b].item<double>(), sum(variances(rows)) / 5, 1e-5);
  }
  const MaskTokenVariance same = mask_token_variance(at::ones({1, 8, 5}), mask.slice(0, 0, 1));
  EXPECT_NEAR(same.direction.item<double>(), 0, 1e-7);
  EXPECT_NEAR(same.raw.item<double>(), 0, 1e-7);
}

}  // namespace
}  // namespace sgmae
