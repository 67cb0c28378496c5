// Matrix products on raw memory, without LibTorch. product.cpp is compiled once per instruction set
// (CMakeLists.txt); product_kernels() picks the widest the machine has.
//
// For C [m, n] = A [m, depth] B [depth, n] the operands are cut into strips of 32 lines (a line is
// a row of A or a column of B), each strip a sequence of steps along the depth, each step two tiles
// of 16 lines by 16 slots of four bytes. A block of C, 32 x 32, is then the product of two strips,
// read from beginning to end. B is packed into strips beforehand, since all threads need all of it;
// of A each thread packs the strips that it is about to use.
//
// What a slot holds depends on what the processor multiplies: two bf16 that follow each other along
// the depth where it has products of bf16, else one fp32 (a bf16 widened). The tile unit (Intel
// AMX) knows bf16 alone: there an fp32 operand is packed as three pieces of bf16, whose sum is the
// value to its last bit; six products of pieces then make up one of fp32, what is left out being
// below fp32's own rounding. Values under 2^-110 then lose digits, and an infinite one becomes NaN.
// Sums are fp32 everywhere.
//
// pack() does one share of the work, multiply() one piece, whichever thread it is that does it.
// Results do not depend on the number of shares or of threads.
#pragma once

#include <cstdint>

#include "sgmae/nn/kernels/cpu.h"

namespace sgmae {

// Of a strip. An operand can be packed strip by strip: they follow each other in memory.
inline constexpr std::int64_t lines_of_strip = 32;

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
};

// Row-major [m, n] with `stride` values from row to row: written, or for `add` added to.
template <class T>
struct ProductResult {
  T* data;
  std::int64_t stride;
  const float* bias = nullptr;  // [n], added to each row; null for none
  bool add = false;             // float only
};

// For operands of T. Those of Bf16 take B as bf16 or as fp32, which is rounded to nearest even.
template <class T>
struct TypedProductKernels {
  std::int64_t (*packed_bytes)(std::int64_t lines, std::int64_t depth);
  void (*pack)(const ProductOperand<T>& from, const PackedOperand& to, std::int64_t share,
               std::int64_t shares);
  void (*pack_float)(const ProductOperand<float>& from, const PackedOperand& to, std::int64_t share,
                     std::int64_t shares);
  // How many pieces a product is made in by so many threads, at least one for each.
  std::int64_t (*pieces)(const ProductOperand<T>& a, std::int64_t lines_of_b, std::int64_t threads);
  // a and b have the same depth.
  void (*multiply)(const ProductOperand<T>& a, const PackedOperand& b,
                   const ProductResult<T>& result, std::int64_t piece, std::int64_t threads);
  void (*multiply_to_float)(const ProductOperand<T>& a, const PackedOperand& b,
                            const ProductResult<float>& result, std::int64_t piece,
                            std::int64_t threads);
};

struct ProductKernels {
  TypedProductKernels<float> fp32;
  TypedProductKernels<Bf16> bf16;
};

// Those for instruction_set(); null for the baseline.
const ProductKernels* product_kernels();

template <class T>
const TypedProductKernels<T>& typed_products();
template <>
inline const TypedProductKernels<float>& typed_products<float>() {
  return product_kernels()->fp32;
}
template <>
inline const TypedProductKernels<Bf16>& typed_products<Bf16>() {
  return product_kernels()->bf16;
}

}  // namespace sgmae
