// Oracle: the definition. S z - lambda z, computed here in fp64, is small; a power iteration in
// fp64 with both leading eigenvectors known bounds nothing larger was missed (block graphs, closed
// form).
#include "sgmae/ncut/lanczos.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "sgmae/base/rng.h"

namespace sgmae {
namespace {

// Cosine graph of n random vectors of `width` values around two centres; noise decides how hard it
// is to cut.
std::vector<float> random_graph(std::int64_t n, int width, double noise, std::uint64_t seed) {
  Rng rng(seed, 0, 0, Purpose::probe);
  std::vector<double> centres(2 * width);
  for (double& value : centres) value = rng.normal();
  std::vector<double> x(n * width);
  for (std::int64_t i = 0; i < n; ++i) {
    double squares = 0;
    for (int k = 0; k < width; ++k) {
      const double value = centres[(i % 3 == 0) * width + k] + noise * rng.normal();
      x[i * width + k] = value;
      squares += value * value;
    }
    for (int k = 0; k < width; ++k) x[i * width + k] /= std::sqrt(squares);
  }
  std::vector<float> m(n * n);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      double dot = 0;
      for (int k = 0; k < width; ++k) dot += x[i * width + k] * x[j * width + k];
      m[i * n + j] = static_cast<float>(dot);
    }
  return m;
}

// |S z - lambda z| in fp64 for z = D^1/2 y.
double residual(const std::vector<float>& m, std::int64_t n, const NcutOptions& options,
                const std::vector<float>& y, double lambda) {
  std::vector<double> w(n * n), degree(n, 0.0);
  for (std::int64_t i = 0; i < n * n; ++i) {
    w[i] = m[i] < options.tau ? options.epsilon : options.binary ? 1.0 : m[i];
    degree[i / n] += w[i];
  }
  double total = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    double product = 0;
    for (std::int64_t j = 0; j < n; ++j) product += w[i * n + j] * y[j];
    const double r = product / std::sqrt(degree[i]) - lambda * std::sqrt(degree[i]) * y[i];
    total += r * r;
  }
  return std::sqrt(total);
}

TEST(SecondEigenvector, SatisfiesItsEquation) {
  LanczosWorkspace workspace;  // shared on purpose: sizes change between solves
  for (const std::int64_t n : {33, 64, 196, 100, 257})
    for (const double noise : {0.1, 1.0, 3.0})
      for (const bool binary : {false, true}) {
        const std::vector<float> m = random_graph(n, 16, noise, n);
        const NcutOptions options{.tau = binary ? 0.2 : 0.0, .binary = binary};
        std::vector<float> y(n);
        const SecondEigenvector found =
            second_eigenvector(m.data(), n, options, workspace, y.data());
        if (!found.converged) continue;  // allowed: the caller then solves exactly
        // The solver's own bound is 5e-5 of the gap; 1e-6 for fp32 sums.
        EXPECT_LE(residual(m, n, options, y, found.eigenvalue), 5e-5 * found.gap + 1e-6)
            << n << ' ' << noise << ' ' << binary;
        EXPECT_NEAR(found.residual, residual(m, n, options, y, found.eigenvalue), 2e-6);
      }
}

TEST(SecondEigenvector, ConvergesOnOrdinaryGraphs) {
  LanczosWorkspace workspace;
  std::vector<float> y(196);
  int converged = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const std::vector<float> m = random_graph(196, 32, 1.0, seed);
    converged += second_eigenvector(m.data(), 196, {}, workspace, y.data()).converged;
  }
  EXPECT_EQ(converged, 20);
}

TEST(SecondEigenvector, IsTheSameOnEveryCall) {
  const std::vector<float> m = random_graph(50, 8, 0.5, 3);
  LanczosWorkspace used, fresh;
  std::vector<float> a(50), b(50), big(196);
  second_eigenvector(random_graph(196, 8, 0.5, 4).data(), 196, {}, used, big.data());
  second_eigenvector(m.data(), 50, {}, used, a.data());
  second_eigenvector(m.data(), 50, {}, fresh, b.data());
  EXPECT_EQ(a, b);
}

TEST(SecondEigenvector, DoesNotClaimWhatIsNotThere) {
  LanczosWorkspace workspace;
  std::vector<float> y(40);
  // All patches alike: every direction is a second eigenvector.
  EXPECT_FALSE(
      second_eigenvector(std::vector<float>(1600, 1.0f).data(), 40, {}, workspace, y.data())
          .converged);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    std::vector<float> m = random_graph(40, 8, 0.5, 1);
    m[17] = bad;
    EXPECT_FALSE(second_eigenvector(m.data(), 40, {}, workspace, y.data()).converged) << bad;
  }
}

}  // namespace
}  // namespace sgmae
