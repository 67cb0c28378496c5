// Oracles: LibTorch's FFT with the spectrum shifted and its diagonal read off, and waves whose
// spectrum is known.
#include "sgmae/analysis/fourier.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/fft_fft2.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace sgmae {
namespace {

// 1e-4: logarithms of fp32 sums of 196 terms.
TEST(RelativeLogAmplitude, IsTheDiagonalOfTheShiftedSpectrum) {
  const at::Tensor x = at::randn({2, 14 * 14, 6}) + 0.3;
  const at::Tensor ours = relative_log_amplitude(x, 14, 14);
  ASSERT_EQ(ours.sizes(), (std::vector<std::int64_t>{2, 7}));
  const at::Tensor grid = x.to(at::kDouble).transpose(1, 2).reshape({2, 6, 14, 14});
  const at::Tensor spectrum = at::fft_fft2(grid).abs().add(1e-6).log().roll({7, 7}, {2, 3}).mean(1);
  const at::Tensor half = spectrum.diagonal(0, 1, 2).slice(1, 7);
  EXPECT_LT((ours - (half - half.slice(1, 0, 1))).abs().max().item<double>(), 1e-4);
}

TEST(RelativeLogAmplitude, TakesGridsThatAreNotSquare) {
  const std::int64_t rows = 4, columns = 6;
  const at::Tensor x = at::randn({1, rows * columns, 3});
  const at::Tensor ours = relative_log_amplitude(x, rows, columns);
  ASSERT_EQ(ours.size(1), 2);
  const at::Tensor grid = x.to(at::kDouble).transpose(1, 2).reshape({1, 3, rows, columns});
  const at::Tensor spectrum = at::fft_fft2(grid).abs().add(1e-6).log().mean(1);
  EXPECT_NEAR(ours[0][1].item<double>(), (spectrum[0][1][1] - spectrum[0][0][0]).item<double>(),
              1e-4);
}

TEST(RelativeLogAmplitude, SeesTheWaveThatIsThere) {
  at::Tensor x = at::ones({1, 64, 1});
  for (int p = 0; p < 64; ++p)  // amplitude 1/2 at 2 periods both ways
    x[0][p][0] += std::cos(2 * std::numbers::pi * 2 * (p / 8 + p % 8) / 8.0);
  const at::Tensor a = relative_log_amplitude(x, 8, 8);
  EXPECT_NEAR(a[0][0].item<double>(), 0, 1e-6);
  EXPECT_NEAR(a[0][2].item<double>(), std::log(0.5), 1e-4);
  EXPECT_LT(a[0][1].item<double>(), -10);  // nothing there but rounding and the floor of 1e-6
}

TEST(DiagonalFrequencies, CountInUnitsOfPi) {
  const auto f = diagonal_frequencies(14, 14);
  ASSERT_EQ(f.size(), 7u);
  EXPECT_DOUBLE_EQ(f[0], 0);
  EXPECT_DOUBLE_EQ(f[6], 12.0 / 14);
  EXPECT_EQ(diagonal_frequencies(5, 7).size(), 3u);
}

}  // namespace
}  // namespace sgmae
