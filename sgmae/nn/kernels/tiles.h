// Matrix products on the processor's tile unit (Intel AMX), on raw memory, without LibTorch.
//
// For C [m, n] = A [m, depth] B [depth, n] the operands are cut into strips of 32 lines (a line is
// a row of A or a column of B), each strip a sequence of steps of 32 along the depth, each step two
// tiles of 16 lines as the unit reads them. A block of C, 32 x 32, is then the product of two
// strips, read from beginning to end. B is packed into strips beforehand, since all threads need
// all of it; of A each thread packs the strips that it is about to use.
//
// The unit multiplies bf16 and adds up in fp32. An fp32 operand is packed as three pieces of bf16,
// whose sum is the value to its last bit; six products of pieces then make up one of fp32, what is
// left out being below fp32's own rounding. Values under 2^-110 lose digits, and an infinite one
// becomes NaN.
//
// Each function does one share of the work, so that `shares` threads do all of it. Results do not
// depend on `shares`.
#pragma once

#include <cstdint>

#include "sgmae/nn/kernels/cpu.h"

namespace sgmae {

// An operand in memory: line i at depth k is data[i * line_stride + k * depth_stride]; one of the
// strides is 1.
template <class T>
struct ProductOperand {
  const T* data;
  std::int64_t lines, depth, line_stride, depth_stride;
};

// B, packed.
struct PackedOperand {
  char* data;  // packed_bytes(), begins with a cache line
  std::int64_t lines, depth;
  int pieces;  // of bf16 per value: 1 (rounded to nearest even), or 3
};

constexpr std::int64_t tile_lines = 32;       // per strip
constexpr std::int64_t tile_step_depth = 32;  // per step
constexpr std::int64_t tile_step_bytes = 2048;

inline std::int64_t packed_bytes(std::int64_t lines, std::int64_t depth, int pieces) {
  const std::int64_t strips = (lines + tile_lines - 1) / tile_lines;
  const std::int64_t steps = (depth + tile_step_depth - 1) / tile_step_depth;
  return strips * steps * tile_step_bytes * pieces;
}

// Row-major [m, n] with `stride` values from row to row: written, or for `add` added to.
template <class T>
struct ProductResult {
  T* data;
  std::int64_t stride;
  const float* bias = nullptr;  // [n], added to each row; null for none
  bool add = false;             // float only
};

struct TileKernels {
  void (*pack_bf16)(const ProductOperand<Bf16>& from, const PackedOperand& to, std::int64_t share,
                    std::int64_t shares);
  void (*pack_float)(const ProductOperand<float>& from, const PackedOperand& to, std::int64_t share,
                     std::int64_t shares);
  // a and b have the same depth; b's pieces are 1 for a of bf16 and 3 for a of float.
  void (*multiply_bf16)(const ProductOperand<Bf16>& a, const PackedOperand& b,
                        const ProductResult<Bf16>& result, std::int64_t share, std::int64_t shares);
  void (*multiply_bf16_to_float)(const ProductOperand<Bf16>& a, const PackedOperand& b,
                                 const ProductResult<float>& result, std::int64_t share,
                                 std::int64_t shares);
  void (*multiply_float)(const ProductOperand<float>& a, const PackedOperand& b,
                         const ProductResult<float>& result, std::int64_t share,
                         std::int64_t shares);
};

// Null where instruction_set() has no tile unit.
const TileKernels* tile_kernels();

}  // namespace sgmae
