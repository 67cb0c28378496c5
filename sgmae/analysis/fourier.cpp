#include "sgmae/analysis/fourier.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/hypot.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

std::int64_t frequency_count(std::int64_t rows, std::int64_t columns) {
  return (std::min(rows, columns) + 1) / 2;
}

}  // namespace

std::vector<double> diagonal_frequencies(std::int64_t rows, std::int64_t columns) {
  std::vector<double> frequencies;
  for (std::int64_t k = 0; k < frequency_count(rows, columns); ++k)
    frequencies.push_back(2.0 * static_cast<double>(k) /
                          static_cast<double>(std::min(rows, columns)));
  return frequencies;
}

at::Tensor relative_log_amplitude(const at::Tensor& tokens, std::int64_t rows,
                                  std::int64_t columns) {
  SGMAE_ASSERT(tokens.dim() == 3 && tokens.size(1) == rows * columns);
  // A few coefficients of the spectrum are wanted, so they are taken by their definition.
  const std::int64_t count = frequency_count(rows, columns);
  at::Tensor cosine = at::empty({count, rows * columns}, at::kFloat), sine = cosine.clone();
  for (std::int64_t k = 0; k < count; ++k)
    for (std::int64_t p = 0; p < rows * columns; ++p) {
      const double turns = static_cast<double>(k) *
                           (static_cast<double>(p / columns) / static_cast<double>(rows) +
                            static_cast<double>(p % columns) / static_cast<double>(columns));
      const double angle = 2 * std::numbers::pi * turns;
      cosine.data_ptr<float>()[k * rows * columns + p] = static_cast<float>(std::cos(angle));
      sine.data_ptr<float>()[k * rows * columns + p] = static_cast<float>(std::sin(angle));
    }
  const at::Tensor x = tokens.to(at::kFloat);
  const at::Tensor amplitude = at::hypot(at::matmul(cosine, x), at::matmul(sine, x));  // [B, F, D]
  const at::Tensor logarithm = amplitude.add(1e-6).log().mean(2);
  return logarithm - logarithm.slice(1, 0, 1);
}

}  // namespace sgmae
