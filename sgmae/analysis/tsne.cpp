#include "sgmae/analysis/tsne.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

constexpr int kBisections = 60;      // of a bandwidth, over its whole range of floating point
constexpr double kSmallest = 1e-16;  // probability, so that logarithms exist

// |x_i - x_j|^2, [N, N].
at::Tensor squared_distances(const at::Tensor& x) {
  const at::Tensor lengths = x.square().sum(1);
  return (lengths.unsqueeze(1) + lengths.unsqueeze(0) - 2 * at::matmul(x, x.t())).clamp_min(0);
}

// Row of conditional probabilities exp(-beta d_j) / sum, j != self, and its entropy in nats.
double conditional(const double* distance, std::int64_t n, std::int64_t self, double beta,
                   double* row) {
  double nearest = std::numeric_limits<double>::infinity();
  for (std::int64_t j = 0; j < n; ++j)
    if (j != self) nearest = std::min(nearest, distance[j]);
  double total = 0, weighted = 0;
  for (std::int64_t j = 0; j < n; ++j) {
    const double further = distance[j] - nearest;
    row[j] = j == self ? 0 : std::exp(-beta * further);
    total += row[j];
    if (j != self) weighted += row[j] * further;
  }
  for (std::int64_t j = 0; j < n; ++j) row[j] /= total;
  return std::log(total) + beta * weighted / total;
}

// 1 / (1 + |y_i - y_j|^2) with a zero diagonal.
at::Tensor student_weights(const at::Tensor& y) {
  return (squared_distances(y) + 1).reciprocal().fill_diagonal_(0);
}

// The first two principal components, the first with deviation 1e-4 as t-SNE starts small.
at::Tensor principal_plane(const at::Tensor& points) {
  const at::Tensor x = points - points.mean(0, /*keepdim=*/true);
  const at::Tensor products = at::matmul(x, x.t());
  check(
      products.isfinite().all().item<bool>(), ExitCode::checkpoint,
      "t-SNE: the model's features are not finite, or too large; its training has diverged, use an "
      "earlier checkpoint");
  const auto [values, vectors] = at::linalg_eigh(products);  // ascending
  const std::int64_t n = x.size(0);
  at::Tensor plane = vectors.slice(1, n - 2).flip({1}) *
                     values.slice(0, n - 2).flip({0}).clamp_min(0).sqrt().unsqueeze(0);
  for (std::int64_t c = 0; c < 2; ++c) {  // the sign of an eigenvector is arbitrary
    at::Tensor column = plane.select(1, c);
    if (column[column.abs().argmax()].item<double>() < 0) column.neg_();
  }
  const double deviation = plane.select(1, 0).std(/*unbiased=*/false).item<double>();
  return plane * (1e-4 / std::max(deviation, 1e-300));
}

}  // namespace

at::Tensor tsne_affinities(const at::Tensor& points, double perplexity) {
  SGMAE_ASSERT(points.dim() == 2 && points.size(0) >= 4);
  const std::int64_t n = points.size(0);
  const double entropy = std::log(std::min(perplexity, static_cast<double>(n - 1) / 3));
  const at::Tensor distances = squared_distances(points.to(at::kDouble)).contiguous();
  at::Tensor p = at::zeros_like(distances);
  for (std::int64_t i = 0; i < n; ++i) {
    const double* distance = distances.data_ptr<double>() + i * n;
    double* row = p.data_ptr<double>() + i * n;
    double low = 0, high = std::numeric_limits<double>::infinity(), beta = 1;
    for (int step = 0; step < kBisections; ++step) {
      const double difference = conditional(distance, n, i, beta, row) - entropy;
      if (std::abs(difference) < 1e-10) break;
      (difference > 0 ? low : high) = beta;  // too wide: narrow it
      beta = std::isinf(high) ? beta * 4 : (low + high) / 2;
    }
  }
  return (p + p.t()) / (2.0 * static_cast<double>(n));
}

double tsne_divergence(const at::Tensor& affinities, const at::Tensor& embedding) {
  const at::Tensor weights = student_weights(embedding.to(at::kDouble));
  const at::Tensor q = weights / weights.sum();
  return (affinities * (affinities.clamp_min(kSmallest) / q.clamp_min(kSmallest)).log())
      .sum()
      .item<double>();
}

at::Tensor tsne(const at::Tensor& points, const TsneOptions& options) {
  const at::Tensor x = points.to(at::kDouble);
  const at::Tensor p = tsne_affinities(x, options.perplexity);
  const auto n = static_cast<double>(x.size(0));
  const double rate = std::max(n / options.early_exaggeration / 4, 50.0);

  at::Tensor y = principal_plane(x);
  at::Tensor velocity = at::zeros_like(y), gain = at::ones_like(y);
  for (int step = 0; step < options.iterations; ++step) {
    const bool early = step < options.early_iterations;
    if (step == options.early_iterations) {  // a new descent: the forces have changed
      velocity.zero_();
      gain.fill_(1);
    }
    const at::Tensor weights = student_weights(y);
    const at::Tensor pull =
        (p * (early ? options.early_exaggeration : 1.0) - weights / weights.sum()) * weights;
    // 4 sum_j pull_ij (y_i - y_j)
    const at::Tensor gradient = 4 * (y * pull.sum(1, /*keepdim=*/true) - at::matmul(pull, y));
    // Steps grow while a coordinate keeps its direction and shrink when it turns.
    gain = at::where(gradient * velocity < 0, gain + 0.2, gain * 0.8).clamp_min(0.01);
    velocity = velocity * (early ? 0.5 : 0.8) - rate * gain * gradient;
    y = y + velocity;
  }
  return y - y.mean(0, /*keepdim=*/true);
}

}  // namespace sgmae
