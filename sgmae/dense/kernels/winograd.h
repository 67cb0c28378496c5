// The transforms of Winograd's minimal filtering F(4x4, 3x3) (Lavin & Gray 2016, "Fast Algorithms
// for Convolutional Neural Networks", section 4), on raw memory and without LibTorch. winograd.cpp
// is compiled once per instruction set (CMakeLists.txt).
//
// A tile of 4 x 4 results of a 3 x 3 correlation is A^T [(G g G^T) * (B^T d B)] A, where g are the
// taps, d the 6 x 6 values that the tile sees, and * goes value by value: 36 multiplications for
// what directly takes 144. The matrices are those of the points 0, +-5/8, +-3/2 and infinity, with
// which results lose less to fp32's rounding than with the usual 0, +-1, +-2 (measured: 1.3e-6 of
// the result with 512 channels, against 2.8e-6, and 2e-7 directly).
#pragma once

#include <cstdint>

#include "sgmae/nn/kernels/cpu.h"

namespace sgmae {

// Transforms a square of cells into another, both row by row, for each of `channels`: from[i] and
// to[i] are the cells' values. A null in `from` is a cell of zeros, one in `to` is not wanted.
template <class From, class To>
using TileTransform = void (*)(std::int64_t channels, const From* const* from, To* const* to);

// For maps of type T (float or Bf16).
template <class T>
struct WinogradKernels {
  TileTransform<T, float> weight;           // G g G^T, 3 x 3 -> 6 x 6
  TileTransform<T, float> input;            // B^T d B, 6 x 6 -> 6 x 6
  TileTransform<T, float> output_gradient;  // A dy A^T, 4 x 4 -> 6 x 6
  // A^T m A + bias [channels], 6 x 6 -> 4 x 4; the bias may be null.
  void (*output)(std::int64_t channels, const float* const* from, const float* bias, T* const* to);
};

// G^T u G, 6 x 6 -> 3 x 3
using WeightGradientTransform = TileTransform<float, float>;

struct AllWinogradKernels {
  WinogradKernels<float> fp32;
  WinogradKernels<Bf16> bf16;
  WeightGradientTransform weight_gradient;
};

// Those for instruction_set() (base/instruction_set.h).
const AllWinogradKernels& all_winograd_kernels();

template <class T>
const WinogradKernels<T>& winograd_kernels();
template <>
inline const WinogradKernels<float>& winograd_kernels() {
  return all_winograd_kernels().fp32;
}
template <>
inline const WinogradKernels<Bf16>& winograd_kernels() {
  return all_winograd_kernels().bf16;
}

}  // namespace sgmae
