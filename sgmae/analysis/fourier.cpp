#include "sgmae/analysis/fourier.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/hypot.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <complex>
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
  at::Tensor waves = at::empty({2 * count, rows * columns}, at::kFloat);  // cosines, then sines
  float* const cosine = waves.data_ptr<float>();
  float* const sine = cosine + count * rows * columns;
  using Wave = std::complex<double>;
  const auto wave = [](std::int64_t k, std::int64_t place, std::int64_t side) {
    return std::polar(
        1.0, 2 * std::numbers::pi * static_cast<double>(k * place) / static_cast<double>(side));
  };
  for (std::int64_t k = 0, at = 0; k < count; ++k) {
    std::vector<Wave> across;
    for (std::int64_t column = 0; column < columns; ++column)
      across.push_back(wave(k, column, columns));
    for (std::int64_t row = 0; row < rows; ++row) {
      const Wave down = wave(k, row, rows);
      for (std::int64_t column = 0; column < columns; ++column, ++at) {
        const Wave both = down * across[column];
        cosine[at] = static_cast<float>(both.real());
        sine[at] = static_cast<float>(both.imag());
      }
    }
  }
  const at::Tensor parts = at::matmul(waves, tokens.to(at::kFloat));  // [B, 2F, D]
  const at::Tensor amplitude = at::hypot(parts.slice(1, 0, count), parts.slice(1, count));
  const at::Tensor logarithm = amplitude.add(1e-6).log().mean(2);
  return logarithm - logarithm.slice(1, 0, 1);
}

}  // namespace sgmae
