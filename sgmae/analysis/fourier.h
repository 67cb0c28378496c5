// Which spatial frequencies a layer's tokens carry (paper, Fig. 7b; the measure of Park & Kim 2022,
// "How do vision transformers work?").
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace sgmae {

// Relative log amplitude [B, F] fp32 of tokens [B, N, D] on a grid of rows x columns = N: the mean
// over dimensions of log(|F_k| + 1e-6), F_k the Fourier coefficient of k periods along both sides
// of the grid (the diagonal of the spectrum), less its value at k = 0. k runs over 0 ... F-1, below
// the Nyquist frequency of the shorter side.
at::Tensor relative_log_amplitude(const at::Tensor& tokens, std::int64_t rows,
                                  std::int64_t columns);

// The F frequencies in units of pi radians per patch of the shorter side: 0, 2/side, 4/side, ...
std::vector<double> diagonal_frequencies(std::int64_t rows, std::int64_t columns);

}  // namespace sgmae
