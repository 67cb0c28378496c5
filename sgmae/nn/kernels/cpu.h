// The elementwise and row-wise inner loops of the training step, on raw memory, without LibTorch.
// cpu.cpp is compiled once per instruction set (CMakeLists.txt); cpu_kernels() picks the widest the
// machine has. Every function works on a range of rows and is called from several threads at once.
#pragma once

#include <cstdint>
#include <cstring>

namespace sgmae {

struct Bf16 {
  std::uint16_t bits;
};

// The bits of `value` as bf16, in the upper half; the lower half is to be dropped. Rounds to
// nearest even. A NaN that arithmetic made of bf16 or fp32 numbers has no bit set below and stays
// one. Static: each instruction set's kernels must have their own.
static inline std::uint32_t rounded_bits(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits + 0x7FFFu + ((bits >> 16) & 1u);
}

// A bias table for a grid of rows * columns tokens, perhaps behind a class token. What query (r, c)
// has for key (j, k) lies at centre[(j - r) * stride + k - c]; class_tokens is 0 or 1, and with one
// special[0] is for its patches, special[1] what patches have for it, special[2] for itself.
struct BiasRuns {
  std::int64_t rows = 0, columns = 0, class_tokens = 0, stride = 0;
};

// Kernels for activations of type T (float or Bf16). Statistics, residual stream and parameter
// gradients are always float.
template <class T>
struct RowKernels {
  // sum = x + delta (delta may be null, then sum may be null too: sum is x), y = LayerNorm(sum).
  // x, sum [rows, dim] float; delta, y [rows, dim] T; mean, rstd [rows].
  void (*add_layer_norm)(std::int64_t rows, std::int64_t dim, const float* x, const T* delta,
                         const float* weight, const float* bias, float eps, float* sum, T* y,
                         float* mean, float* rstd);
  // dx += d LayerNorm / d x * dy; weight_grad and bias_grad [dim] are added to.
  void (*layer_norm_backward)(std::int64_t rows, std::int64_t dim, const T* dy, const float* x,
                              const float* mean, const float* rstd, const float* weight, float* dx,
                              float* weight_grad, float* bias_grad);
  // a = gelu(h), the exact (erf) form.
  void (*gelu)(std::int64_t count, const T* h, T* a);
  // d *= gelu'(h) in place; column_sum [dim] += sum over rows of the result.
  void (*gelu_backward)(std::int64_t rows, std::int64_t dim, const T* h, T* d, float* column_sum);
  // column_sum [dim] += sum over rows of d.
  void (*column_sum)(std::int64_t rows, std::int64_t dim, const T* d, float* column_sum);
  // to (bf16 to nearest even) = from; row strides in elements.
  void (*from_float)(std::int64_t rows, std::int64_t dim, const float* from,
                     std::int64_t from_stride, T* to, std::int64_t to_stride);

  // The loops between the products of attention, for one image and head: n queries, and as many
  // keys in rows of `padded` values, what follows the n-th being filled up.

  // weights = exp(scale * (logits - the row's largest)), zero in the padding; the softmax is these
  // times inverse_total [n]. Overwrites logits.
  void (*softmax)(std::int64_t n, std::int64_t padded, float scale, float* logits, T* weights,
                  float* inverse_total, float* log_sum_exp);
  // The softmax's weights again, and the gradient of the unscaled logits; delta [n] = sum over keys
  // of weights * dweights.
  void (*softmax_backward)(std::int64_t n, std::int64_t padded, float scale, const float* logits,
                           const float* dweights, const float* log_sum_exp, const float* delta,
                           T* weights, T* dlogits);
  // Decomposed relative positions of a grid of rows * columns tokens. Query i in row r and column c
  // finds what to add for the keys of row j at h[i * h_stride + rows - 1 - r + j], for those of
  // column j at w[i * w_stride + columns - 1 - c + j].

  // logits [n, padded] += factor * both.
  void (*add_relative)(std::int64_t rows, std::int64_t columns, std::int64_t padded, float factor,
                       const float* h, std::int64_t h_stride, const float* w, std::int64_t w_stride,
                       float* logits);
  // dh [n, h_stride] and dw [n, w_stride] = factor * the sums over dlogits that belong to each
  // entry, zero for the others.
  void (*sum_relative)(std::int64_t rows, std::int64_t columns, std::int64_t padded, float factor,
                       const T* dlogits, T* dh, std::int64_t h_stride, T* dw,
                       std::int64_t w_stride);
  // logits [n, padded] += the biases of a table.
  void (*add_bias)(const BiasRuns& runs, std::int64_t padded, const float* centre,
                   const float* special, float* logits);
  // dcentre, dspecial += factor * the sums over dlogits that belong to each entry.
  void (*sum_bias)(const BiasRuns& runs, std::int64_t padded, float factor, const T* dlogits,
                   float* dcentre, float* dspecial);
  // to = factor [rows] * from [rows, dim], row by row.
  void (*scale_rows)(std::int64_t rows, std::int64_t dim, const float* factor, const float* from,
                     T* to, std::int64_t to_stride);
  // out [rows] = sum over columns of a * b, both [rows, dim] of one row stride.
  void (*row_products)(std::int64_t rows, std::int64_t dim, const T* a, const T* b,
                       std::int64_t stride, float* out);

  // out [count] = the sum of weight[i] * term[i] over the terms, of `count` values each; with `add`
  // that is added to it.
  void (*weighted_sum)(std::int64_t terms, std::int64_t count, const T* const* term,
                       const float* weight, bool add, float* out);
};

// A grid's side at most, for relative positions.
inline constexpr std::int64_t largest_relative_side = 4096;

struct AdamWStep {
  float beta1, beta2, eps;
  float step_size;         // lr / (1 - beta1^t)
  float bias_correction2;  // sqrt(1 - beta2^t)
  float decay;             // 1 - lr * weight_decay
  float grad_scale;        // multiplies the gradient first
};

struct CpuKernels {
  RowKernels<float> fp32;
  RowKernels<Bf16> bf16;
  // One AdamW step (Loshchilov & Hutter 2019, decoupled decay) on `count` values; grad is zero
  // after.
  void (*adamw)(std::int64_t count, const AdamWStep& step, float* grad, float* value,
                float* exp_avg, float* exp_avg_sq);
};

// Those for instruction_set() (base/instruction_set.h).
const CpuKernels& cpu_kernels();

template <class T>
const RowKernels<T>& row_kernels();
template <>
inline const RowKernels<float>& row_kernels() {
  return cpu_kernels().fp32;
}
template <>
inline const RowKernels<Bf16>& row_kernels() {
  return cpu_kernels().bf16;
}

}  // namespace sgmae
