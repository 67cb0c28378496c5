// Oracle: LibTorch's eigendecomposition in fp64 of the same graph, on the CPU.
#include "sgmae/ncut/subspace.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include <limits>
#include <tuple>

#include "sgmae/ncut/graph.h"
#include "tests/support/other_device.h"
#include "tests/support/tensors.h"

namespace sgmae {
namespace {

// Cosine graphs [images, n, n] of random features around `centres` points, whose noise decides how
// hard they are to cut.
at::Tensor random_graphs(std::int64_t images, std::int64_t n, std::int64_t centres, double spread) {
  const at::Tensor points = noise({images, centres, 16}, 7 * n + centres);
  const at::Tensor features = points.repeat({1, (n + centres - 1) / centres, 1}).slice(1, 0, n) +
                              spread * noise({images, n, 16}, 11 * n + centres);
  return similarity(features);
}

struct Exact {
  at::Tensor values, z, s;  // eigenvalues ascending [B, n], unit z [B, n], S [B, n, n]; fp64
  at::Tensor inverse_root;
};

Exact exact(const at::Tensor& m, const NcutOptions& options) {
  const at::Tensor kept = options.binary ? m * 0 + 1 : m;
  const at::Tensor w = kept.masked_fill(m < options.tau, options.epsilon).to(at::kDouble);
  const at::Tensor inverse_root = w.sum(2).rsqrt();
  const at::Tensor s = w * inverse_root.unsqueeze(2) * inverse_root.unsqueeze(1);
  const auto [values, vectors] = at::linalg_eigh(s);
  return {values, vectors.select(2, m.size(1) - 2), s, inverse_root};
}

TEST(DeviceSecondEigenvectors, AreThoseOfTheEigendecomposition) {
  for (const auto& [n, centres, spread] :
       {std::tuple{33, 2, 0.1}, {64, 3, 1.0}, {196, 4, 1.0}, {196, 16, 0.5}, {257, 2, 3.0}})
    for (const bool binary : {false, true}) {
      const NcutOptions options{.tau = binary ? 0.2 : 0.0, .binary = binary};
      const at::Tensor m = random_graphs(12, n, centres, spread);
      const SecondEigenvectors found = second_eigenvectors(m.to(other_device()), options);
      const Exact expected = exact(m, options);
      for (std::int64_t i = 0; i < m.size(0); ++i) {
        if (!found.converged[i].item<bool>()) continue;  // the caller then solves exactly
        const double lambda = found.eigenvalue[i].item<double>();
        EXPECT_NEAR(lambda, expected.values[i][n - 2].item<double>(), 2e-6);
        const double gap = lambda - expected.values[i][n - 3].item<double>();
        EXPECT_NEAR(found.gap[i].item<double>(), gap, 0.1 * gap);
        const at::Tensor z = found.y[i].to(at::kDouble) / expected.inverse_root[i];
        EXPECT_NEAR(z.norm().item<double>(), 1, 1e-5);
        // As promised, and 1e-6 for fp32 products, over the gap.
        const double error =
            at::minimum((z - expected.z[i]).norm(), (z + expected.z[i]).norm()).item<double>();
        EXPECT_LE(error, 6e-5 + 1e-6 / gap) << n << ' ' << centres << ' ' << binary << ' ' << i;
        const double residual = (expected.s[i].mv(z) - lambda * z).norm().item<double>();
        EXPECT_NEAR(found.residual[i].item<double>(), residual, 2e-6);
      }
    }
}

TEST(DeviceSecondEigenvectors, ConvergeOnOrdinaryGraphs) {
  for (const std::int64_t centres : {2, 3, 5}) {
    const at::Tensor m = random_graphs(40, 196, centres, 1.0).to(other_device());
    EXPECT_EQ(second_eigenvectors(m, {}).converged.sum().item<std::int64_t>(), 40) << centres;
  }
}

TEST(DeviceSecondEigenvectors, AreTheSameInEveryBatch) {
  const at::Tensor m = random_graphs(6, 64, 3, 1.0).to(other_device());
  const SecondEigenvectors all = second_eigenvectors(m, {});
  const SecondEigenvectors one = second_eigenvectors(m.slice(0, 4, 5), {});
  EXPECT_NEAR(one.eigenvalue[0].item<double>(), all.eigenvalue[4].item<double>(), 1e-6);
  EXPECT_LT(relative_error(one.y[0], all.y[4]), 1e-4);
}

TEST(DeviceSecondEigenvectors, DoNotClaimWhatIsNotThere) {
  at::Tensor m = random_graphs(6, 40, 3, 0.5);
  m[0].fill_(1);  // all patches alike: every direction is a second eigenvector
  m[1][3][4] = std::numeric_limits<float>::quiet_NaN();
  m[2][3][4] = std::numeric_limits<float>::infinity();
  m[3][3][4] = -std::numeric_limits<float>::infinity();
  m[4].fill_(0.5);
  for (int i = 0; i < 40; ++i) m[4][i][i] = 1;  // 39 equal eigenvalues
  const at::Tensor converged = second_eigenvectors(m.to(other_device()), {}).converged;
  for (int i = 0; i < 6; ++i) EXPECT_EQ(converged[i].item<bool>(), i == 5) << i;
}

// The start is sent; it and two rounds say whether they suffice, and all results come together.
TEST(SecondEigenvectors, OfOrdinaryGraphsReadThePretendDeviceFourTimes) {
  const at::Tensor m = random_graphs(12, 196, 3, 1.0).to(pretend_device());
  const Transfers crossed = transfers_of([&] { second_eigenvectors(m, {}); });
  EXPECT_EQ(crossed.to_device, 1);
  EXPECT_LE(crossed.to_host, 4);
}

}  // namespace
}  // namespace sgmae
