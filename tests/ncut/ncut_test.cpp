// Oracles: closed forms of block graphs; SciPy's generalised eigensolver (tests/golden/ncut.py);
// the exact fp64 solver for the fast ones, that of the CPU and that of other devices.
#include "sgmae/ncut/ncut.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "sgmae/base/file.h"
#include "sgmae/base/rng.h"
#include "sgmae/ncut/graph.h"
#include "sgmae/ncut/relevance.h"
#include "tests/support/other_device.h"

namespace sgmae {
namespace {

enum class How { fast, exact, device };

Bipartition cut_by(How how, const at::Tensor& m, const NcutOptions& options = {}) {
  if (how == How::device) return bipartition(m.to(other_device()), options);
  return bipartition(m, options, how == How::exact ? NcutSolver::exact : NcutSolver::fast);
}

class BipartitionBy : public testing::TestWithParam<How> {};
class FastBipartition : public testing::TestWithParam<How> {};

std::string name_of_how(const testing::TestParamInfo<How>& info) {
  return info.param == How::fast ? "fast" : info.param == How::exact ? "exact" : "batched";
}

INSTANTIATE_TEST_SUITE_P(Cpu, BipartitionBy, testing::Values(How::fast, How::exact), name_of_how);
INSTANTIATE_TEST_SUITE_P(Cpu, FastBipartition, testing::Values(How::fast), name_of_how);
INSTANTIATE_TEST_SUITE_P(Device, BipartitionBy, testing::Values(How::device), name_of_how);
INSTANTIATE_TEST_SUITE_P(Device, FastBipartition, testing::Values(How::device), name_of_how);

std::vector<int> to_ints(const at::Tensor& side) {
  std::vector<int> values;
  for (std::int64_t i = 0; i < side.numel(); ++i) values.push_back(side.view({-1})[i].item<int>());
  return values;
}

// Smooth random features of a rows x rows grid, like neighbouring patches of a photo: sums of a few
// random plane waves per value. `common` is added to all.
at::Tensor smooth_features(int rows, int width, double common, std::uint64_t seed) {
  Rng rng(seed, 0, 0, Purpose::probe);
  std::vector<float> x(rows * rows * width);
  for (int k = 0; k < width; ++k)
    for (int wave = 0; wave < 3; ++wave) {
      const double fx = rng.uniform(-0.6, 0.6), fy = rng.uniform(-0.6, 0.6);
      const double phase = rng.uniform(0, 6.283), size = rng.normal();
      for (int r = 0; r < rows; ++r)
        for (int c = 0; c < rows; ++c)
          x[(r * rows + c) * width + k] += size * std::cos(fx * c + fy * r + phase) + common / 3;
    }
  return at::tensor(x).view({rows * rows, width});
}

TEST_P(BipartitionBy, OfTwoBlocksIsTheClosedForm) {
  // a patches alike (weight 1) and b others, weight w between: y is constant on each block,
  // y_a / y_b = -d_b / d_a with block volumes d, and lambda_2 = a / deg_a + b / deg_b - 1.
  for (const auto& [a, b] : {std::pair{3, 5}, {10, 40}, {30, 34}}) {
    const double w = 0.3;
    at::Tensor m = at::full({1, a + b, a + b}, w, at::kFloat);
    m[0].slice(0, 0, a).slice(1, 0, a).fill_(1);
    m[0].slice(0, a).slice(1, a).fill_(1);
    const Bipartition cut = cut_by(GetParam(), m);
    ASSERT_EQ(cut.degenerate_count(), 0) << a << ' ' << b;
    const double degree_a = a + b * w, degree_b = b + a * w;
    EXPECT_NEAR(cut.eigenvalue[0].item<double>(), a / degree_a + b / degree_b - 1, 1e-5);
    const double ya = cut.eigenvector[0][0].item<double>();
    const double yb = cut.eigenvector[0][a].item<double>();
    EXPECT_NEAR(ya / yb, -(b * degree_b) / (a * degree_a), 1e-3);
    // The smaller block has the larger |y|.
    for (int i = 0; i < a + b; ++i) EXPECT_EQ(cut.object_side[0][i].item<int>(), i < a) << i;
    EXPECT_GT(ya, 0);
  }
}

TEST_P(BipartitionBy, AgreesWithSciPy) {
  const nlohmann::json images = nlohmann::json::parse(read_text(SGMAE_TEST_DATA "/ncut.json"));
  for (const auto& image : images) {
    const auto rows = image["features"].get<std::vector<std::vector<float>>>();
    std::vector<at::Tensor> vectors;
    for (const std::vector<float>& row : rows) vectors.push_back(at::tensor(row));
    const at::Tensor x = at::stack(vectors).unsqueeze(0);
    const Bipartition cut = cut_by(GetParam(), similarity(x));
    EXPECT_EQ(to_ints(cut.object_side), image["object_side"].get<std::vector<int>>());
    // Similarities are fp32: 1e-6 on the value; the fast vector is good to 5e-5 of its length.
    EXPECT_NEAR(cut.eigenvalue[0].item<double>(), image["eigenvalue"].get<double>(), 2e-6);
    const auto y = image["eigenvector"].get<std::vector<double>>();
    const auto s = image["relevance"].get<std::vector<double>>();
    const at::Tensor mine = relevance(x, cut.object_side);
    for (std::size_t i = 0; i < y.size(); ++i) {
      EXPECT_NEAR(cut.eigenvector[0][i].item<double>(), y[i], 1e-4 * std::abs(y[0]) + 1e-5);
      EXPECT_NEAR(mine[0][i].item<double>(), s[i], 2e-6);
    }
  }
}

TEST_P(FastBipartition, AgreesWithExact) {
  // Spread of difficulty: common component, negative weights, many small clusters.
  std::int64_t differing = 0, patches = 0;
  for (const int rows : {6, 8, 11, 14}) {
    std::vector<at::Tensor> features;
    for (std::uint64_t seed = 0; seed < 60; ++seed)
      features.push_back(smooth_features(rows, 12, seed % 3 == 0 ? 4.0 : 0.0, seed));
    const at::Tensor m = similarity(at::stack(features));
    const Bipartition fast = cut_by(GetParam(), m), exact = cut_by(How::exact, m);
    EXPECT_EQ(fast.degenerate, exact.degenerate);
    EXPECT_LE(fast.exact_solves, 3);
    EXPECT_LT((fast.eigenvalue - exact.eigenvalue).abs().max().item<double>(), 1e-5);
    differing += (fast.object_side != exact.object_side).sum().item<std::int64_t>();
    patches += fast.object_side.numel();
  }
  EXPECT_LE(static_cast<double>(differing), 0.001 * static_cast<double>(patches));
}

TEST_P(FastBipartition, HandsHardGraphsToTheExactSolver) {
  // Three equal blocks that hardly differ: lambda_2 and lambda_3 are 4e-6 apart, too near for fp32.
  at::Tensor m = at::full({1, 60, 60}, 0.5, at::kFloat);
  for (int block = 0; block < 3; ++block)
    m[0].slice(0, 20 * block, 20 * block + 20).slice(1, 20 * block, 20 * block + 20).fill_(1);
  m[0].slice(0, 0, 20).slice(1, 0, 20).fill_(1 + 1e-5f);
  EXPECT_EQ(cut_by(GetParam(), m).exact_solves, 1);
}

TEST_P(BipartitionBy, OfFourAndOfTwoPatches) {
  const at::Tensor x = at::tensor({1.f, 0.f, .9f, .1f, 0.f, 1.f, .2f, .9f}).view({1, 4, 2});
  const std::vector<int> side = to_ints(cut_by(GetParam(), similarity(x)).object_side);
  EXPECT_EQ(side[0], side[1]);
  EXPECT_EQ(side[2], side[3]);
  EXPECT_NE(side[0], side[2]);
  const at::Tensor pair = at::tensor({1.f, .5f, .5f, 1.f}).view({1, 2, 2});
  // |y| is the same for both: the lowest index wins.
  EXPECT_EQ(to_ints(cut_by(GetParam(), pair).object_side), (std::vector<int>{1, 0}));
  EXPECT_THROW(bipartition(at::ones({1, 1, 1})), Error);
}

TEST_P(BipartitionBy, TiesGoToTheLowestIndex) {
  // Two blocks of the same size: |y| is equal everywhere.
  for (const int half : {4, 20}) {
    at::Tensor m = at::full({1, 2 * half, 2 * half}, 0.2, at::kFloat);
    m[0].slice(0, 0, half).slice(1, 0, half).fill_(1);
    m[0].slice(0, half).slice(1, half).fill_(1);
    const at::Tensor side = cut_by(GetParam(), m).object_side[0];
    for (int i = 0; i < 2 * half; ++i) EXPECT_EQ(side[i].item<int>(), i < half);
  }
}

TEST_P(BipartitionBy, OneOutlierMakesAOneSidedCut) {
  at::Tensor m = at::full({1, 50, 50}, 0.9, at::kFloat);
  m[0].slice(0, 0, 50).select(0, 7).fill_(0.1);
  m[0].select(1, 7).fill_(0.1);
  for (int i = 0; i < 50; ++i) m[0][i][i] = 1;
  const Bipartition cut = cut_by(GetParam(), m);
  EXPECT_EQ(cut.degenerate_count(), 0);
  EXPECT_EQ(cut.object_side.sum().item<int>(), 1);
  EXPECT_EQ(cut.object_side[0][7].item<int>(), 1);
}

TEST_P(BipartitionBy, MarksDegenerateImagesAndKeepsTheOthers) {
  const std::int64_t n = 49;
  at::Tensor m =
      similarity(smooth_features(7, 8, 0, 1).unsqueeze(0)).expand({6, n, n}).contiguous();
  m[0].fill_(1);                                         // constant image
  m[1][3][4] = std::numeric_limits<float>::quiet_NaN();  // overflow somewhere in the model
  m[2][3][4] = std::numeric_limits<float>::infinity();
  m[3].fill_(-1);                                 // falls apart: no edge at all …
  for (int i = 0; i < n; ++i) m[3][i][i] = 1000;  // … but each patch to itself
  m[4].fill_(0.5);                                // all patches equally unlike:
  for (int i = 0; i < n; ++i) m[4][i][i] = 1;     // no direction stands out
  const Bipartition cut = cut_by(GetParam(), m);
  EXPECT_EQ(cut.degenerate, (std::vector<std::uint8_t>{1, 1, 1, 1, 1, 0}));
  EXPECT_EQ(cut.degenerate_count(), 5);
  EXPECT_TRUE(cut.eigenvector.isfinite().all().item<bool>());
  EXPECT_EQ(cut.object_side.slice(0, 0, 5).sum().item<int>(), 0);
  EXPECT_GT(cut.object_side[5].sum().item<int>(), 0);
}

TEST_P(BipartitionBy, TwoPartsWithoutAnEdgeAreThePerfectCut) {
  at::Tensor m = at::full({1, 40, 40}, -0.5, at::kFloat);
  m[0].slice(0, 0, 15).slice(1, 0, 15).fill_(0.9);
  m[0].slice(0, 15).slice(1, 15).fill_(0.9);
  const Bipartition cut = cut_by(GetParam(), m);
  EXPECT_EQ(cut.degenerate_count(), 0);
  EXPECT_GT(cut.eigenvalue[0].item<double>(), 1 - 1e-4);
  const std::vector<int> side = to_ints(cut.object_side);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(side[i], i < 15) << i;
  // With a third part it is arbitrary which one is cut off.
  m[0].slice(0, 25).slice(1, 0, 25).fill_(-0.5);
  m[0].slice(0, 0, 25).slice(1, 25).fill_(-0.5);
  EXPECT_EQ(cut_by(GetParam(), m).degenerate_count(), 1);
}

TEST_P(FastBipartition, SeesSmallDifferencesOnALargeCommonPart) {
  // Features with cosines above 0.998, as early in training: lambda_2 is about 0.001.
  std::vector<at::Tensor> features;
  for (std::uint64_t seed = 0; seed < 40; ++seed)
    features.push_back(smooth_features(8, 12, 40.0, seed));
  const at::Tensor m = similarity(at::stack(features));
  const Bipartition fast = cut_by(GetParam(), m), exact = cut_by(How::exact, m);
  EXPECT_LT(exact.eigenvalue.max().item<double>(), 0.01);
  EXPECT_LE(fast.exact_solves, 10);
  EXPECT_TRUE(fast.object_side.equal(exact.object_side));
}

TEST_P(BipartitionBy, BinaryGraphCountsEdgesOnly) {
  // Weights of 0.9 and 0.3 are the same edge above tau 0.2, and 0.1 is none.
  at::Tensor m = at::full({1, 40, 40}, 0.1, at::kFloat);
  m[0].slice(0, 0, 10).slice(1, 0, 10).fill_(0.9);
  m[0].slice(0, 10).slice(1, 10).fill_(0.3);
  m[0][9][10] = m[0][10][9] = 0.5;  // one edge holds the parts together
  const Bipartition cut = cut_by(GetParam(), m, {.tau = 0.2, .epsilon = 1e-5, .binary = true});
  const std::vector<int> side = to_ints(cut.object_side);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(side[i], i < 10) << i;
}

TEST(Bipartition, TakesAnEmptyBatch) {
  const Bipartition cut = bipartition(at::randn({0, 9, 9}));
  EXPECT_EQ(cut.object_side.sizes(), at::IntArrayRef({0, 9}));
}

}  // namespace
}  // namespace sgmae
