// Inner loops over maps in channels-last memory, on raw memory and without LibTorch. maps.cpp is
// compiled once per instruction set (CMakeLists.txt), as nn/kernels/cpu.cpp is.
#pragma once

#include <cstdint>

#include "sgmae/nn/kernels/cpu.h"

namespace sgmae {

// What cells are normalised by: y = (x - mean) * scale + shift, and perhaps ReLU. Each [channels].
struct ChannelAffine {
  const float *mean, *scale, *shift;
  bool relu;
};

// Batch norm of cells [count, channels] of type T (float or Bf16).
template <class T>
struct CellKernels {
  // mean and m2 [channels] of these cells; m2: the sum of squared deviations.
  void (*moments)(std::int64_t count, std::int64_t channels, const T* x, float* mean, float* m2);
  void (*normalise)(std::int64_t count, std::int64_t channels, const T* x, const ChannelAffine& by,
                    T* y);
  // Sums over these cells of g and of g * (x - mean), where g is dy behind ReLU. Each [channels].
  void (*gradient_sums)(std::int64_t count, std::int64_t channels, const T* dy, const T* x,
                        const ChannelAffine& by, float* sum, float* product);
  // dx = scale * (g - a - b * (x - mean)), a and b [channels].
  void (*gradient)(std::int64_t count, std::int64_t channels, const T* dy, const T* x,
                   const ChannelAffine& by, const float* a, const float* b, T* dx);
};

// Where an axis of `to` places falls on one of fewer or more: between low and high, at `weight`
// from low to high.
struct AxisPlaces {
  const std::int32_t *low, *high;
  const float* weight;
};

struct CrossEntropySums {
  double loss = 0;
  std::int64_t right = 0;
};

struct MapKernels {
  CellKernels<float> fp32;
  CellKernels<Bf16> bf16;
  // Softmax cross-entropy of one row of `width` pixels whose logits lie between the rows above and
  // below [columns, classes], at `down` from the first. Adds the gradients of the sum of losses to
  // dabove and dbelow, which may be the same. Labels of `ignored` count nowhere. Classes are padded
  // to a multiple of 16 by very small logits. `memory` holds (2*columns + 1) * classes values.
  void (*cross_entropy_row)(std::int64_t width, std::int64_t columns, std::int64_t classes,
                            const float* above, const float* below, float down,
                            const AxisPlaces& across, const std::uint8_t* labels,
                            std::uint8_t ignored, float* memory, float* dabove, float* dbelow,
                            CrossEntropySums& sums);
  // Which of count > 0 values is the largest, of several the first; any of them if one is NaN.
  std::int64_t (*first_largest)(std::int64_t count, const float* x);
};

// Those for instruction_set() (base/instruction_set.h).
const MapKernels& map_kernels();

template <class T>
const CellKernels<T>& cell_kernels();
template <>
inline const CellKernels<float>& cell_kernels() {
  return map_kernels().fp32;
}
template <>
inline const CellKernels<Bf16>& cell_kernels() {
  return map_kernels().bf16;
}

}  // namespace sgmae
