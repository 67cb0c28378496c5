// Oracles: scikit-learn's exact t-SNE (tests/golden/tsne.py), and closed forms.
#include "sgmae/analysis/tsne.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <vector>

#include "sgmae/base/file.h"

namespace sgmae {
namespace {

using Table = std::vector<std::vector<double>>;

at::Tensor tensor_of(const Table& table) {
  std::vector<double> flat;
  for (const auto& row : table) flat.insert(flat.end(), row.begin(), row.end());
  return at::tensor(flat, at::kDouble)
      .view({static_cast<std::int64_t>(table.size()), static_cast<std::int64_t>(table[0].size())});
}

// Ranks of all others by distance from point i: rank[j] is 1 for the nearest.
std::vector<int> ranks(const at::Tensor& x, std::int64_t i) {
  const at::Tensor distance = (x - x[i]).square().sum(1);
  std::vector<std::int64_t> order(x.size(0));
  std::iota(order.begin(), order.end(), 0);
  const double* d = distance.data_ptr<double>();
  std::sort(order.begin(), order.end(),
            [&](auto a, auto b) { return a == i || (b != i && d[a] < d[b]); });
  std::vector<int> rank(order.size());
  for (std::size_t r = 0; r < order.size(); ++r) rank[order[r]] = static_cast<int>(r);
  return rank;
}

// 1 less the penalty for embedded neighbours that were none (Venna & Kaski 2001).
double trustworthiness(const at::Tensor& points, const at::Tensor& embedding, int k) {
  const auto n = static_cast<int>(points.size(0));
  double penalty = 0;
  for (int i = 0; i < n; ++i) {
    const auto before = ranks(points, i), after = ranks(embedding, i);
    for (int j = 0; j < n; ++j)
      if (j != i && after[j] <= k) penalty += std::max(0, before[j] - k);
  }
  return 1 - penalty * 2 / (n * k * (2.0 * n - 3 * k - 1));
}

nlohmann::json golden() {
  return nlohmann::json::parse(read_text(std::string(SGMAE_TEST_DATA) + "/tsne.json"));
}

// The divergence scikit-learn states is that of its own embedding under our affinities, to the
// rounding of its fp32 search for bandwidths.
TEST(TsneAffinities, AreThePeers) {
  const auto data = golden();
  const at::Tensor points = tensor_of(data["points"].get<Table>());
  for (const auto& run : data["runs"]) {
    const at::Tensor p = tsne_affinities(points, run["perplexity"].get<double>());
    EXPECT_NEAR(tsne_divergence(p, tensor_of(run["embedding"].get<Table>())),
                run["divergence"].get<double>(), 1e-4);
  }
}

TEST(TsneAffinities, HaveThePerplexityThatWasAskedFor) {
  // Points of a regular simplex are all equally near, so every p_ij is 1 / (n (n-1)).
  const at::Tensor p = tsne_affinities(at::eye(10), 30);
  EXPECT_NEAR(p.sum().item<double>(), 1, 1e-12);
  EXPECT_EQ(p.diagonal(0, 0, 1).abs().max().item<double>(), 0);
  EXPECT_NEAR(p[2][7].item<double>(), 1.0 / 90, 1e-9);
  EXPECT_TRUE(p.equal(p.t()));
}

TEST(Tsne, ReachesThePeersDivergenceAndKeepsAsManyNeighbours) {
  const auto data = golden();
  const at::Tensor points = tensor_of(data["points"].get<Table>());
  for (const auto& run : data["runs"]) {
    TsneOptions options;
    options.perplexity = run["perplexity"].get<double>();
    const at::Tensor embedding = tsne(points, options);
    const double divergence =
        tsne_divergence(tsne_affinities(points, options.perplexity), embedding);
    // Both end in a local optimum, not the same one; ours may be 10 % worse.
    EXPECT_LT(divergence, 1.1 * run["divergence"].get<double>());
    EXPECT_GT(trustworthiness(points, embedding, 5), run["trustworthiness"].get<double>() - 0.02);
    // The measure itself is scikit-learn's.
    EXPECT_NEAR(trustworthiness(points, tensor_of(run["embedding"].get<Table>()), 5),
                run["trustworthiness"].get<double>(), 1e-3);
  }
}

TEST(Tsne, IsTheSameEveryTimeAndFinite) {
  const at::Tensor points = at::randn({12, 5});
  TsneOptions options;
  options.iterations = 60;
  const at::Tensor once = tsne(points, options);
  EXPECT_TRUE(once.equal(tsne(points, options)));
  EXPECT_TRUE(once.isfinite().all().item<bool>());
  EXPECT_TRUE(tsne(at::zeros({8, 3}), options).isfinite().all().item<bool>());  // all alike
}

}  // namespace
}  // namespace sgmae
