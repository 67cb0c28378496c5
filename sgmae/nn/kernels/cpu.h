// The elementwise and row-wise inner loops of the training step, on raw memory, without LibTorch.
// cpu.cpp is compiled once per instruction set (CMakeLists.txt); cpu_kernels() picks the widest the
// machine has. Every function works on a range of rows and is called from several threads at once.
#pragma once

#include <cstdint>

namespace sgmae {

struct Bf16 {
  std::uint16_t bits;
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
  // Between activations and float; row strides in elements. to_float multiplies by `scale`.
  void (*to_float)(std::int64_t rows, std::int64_t dim, const T* from, std::int64_t from_stride,
                   float scale, float* to, std::int64_t to_stride);
  void (*from_float)(std::int64_t rows, std::int64_t dim, const float* from,
                     std::int64_t from_stride, T* to, std::int64_t to_stride);
};

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
  // In place softmax over each row [rows, n] of logits; log_sum_exp [rows].
  void (*softmax)(std::int64_t rows, std::int64_t n, float* logits, float* log_sum_exp);
  // logits -> exp(logits - log_sum_exp): the same weights again.
  void (*softmax_again)(std::int64_t rows, std::int64_t n, float* logits, const float* log_sum_exp);
  // dweights -> weights * (dweights - delta), delta [rows] = sum over columns of weights *
  // dweights.
  void (*softmax_backward)(std::int64_t rows, std::int64_t n, const float* weights,
                           float* dweights);
  // The loops between the bf16 matrix products of attention. Products want whole tiles, so the
  // `rows` tokens are filled up to `padded` with zeros, which whoever allocates has written: no
  // loop touches them. They also want the right-hand operand with pairs of rows interleaved: to
  // [padded/2, dim, 2].
  void (*pack_pairs)(std::int64_t rows, std::int64_t dim, const Bf16* from,
                     std::int64_t from_stride, Bf16* to);
  // The same for the transpose of `from`: to [dim/2, padded, 2].
  void (*pack_transposed)(std::int64_t rows, std::int64_t dim, std::int64_t padded,
                          const Bf16* from, std::int64_t from_stride, Bf16* to);
  // to [dim, padded] = from^T.
  void (*transpose)(std::int64_t rows, std::int64_t dim, std::int64_t padded, const Bf16* from,
                    std::int64_t from_stride, Bf16* to);
  // to [rows, dim] = from^T for from [dim, padded].
  void (*transpose_back)(std::int64_t rows, std::int64_t dim, std::int64_t padded,
                         const float* from, Bf16* to, std::int64_t to_stride);
  // weights [n, padded] = exp(scale * (logits - the row's largest)) over the first n columns, zero
  // in the others; the softmax is these times inverse_total [n]. Overwrites the padding of logits.
  void (*softmax_bf16)(std::int64_t n, std::int64_t padded, float scale, float* logits,
                       Bf16* weights, float* inverse_total, float* log_sum_exp);
  // to = factor [rows] * from [rows, dim], row by row.
  void (*scale_rows)(std::int64_t rows, std::int64_t dim, const float* factor, const float* from,
                     Bf16* to, std::int64_t to_stride);
  // out [rows] = sum over columns of a * b, both [rows, dim] of one row stride.
  void (*row_products)(std::int64_t rows, std::int64_t dim, const Bf16* a, const Bf16* b,
                       std::int64_t stride, float* out);
  // For the transposes of logits and dweights [n keys, padded queries], with each query's
  // log_sum_exp (infinity in the padding) and delta = sum over keys of weights * dweights [padded]:
  // the weights again, and the gradient of the unscaled logits, plain and packed in pairs of rows
  // [padded/2, padded], the even row in the lower half.
  void (*softmax_backward_bf16)(std::int64_t n, std::int64_t padded, float scale,
                                const float* logits, const float* dweights,
                                const float* log_sum_exp, const float* delta, Bf16* weights,
                                Bf16* dlogits, std::uint32_t* dlogit_pairs);
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
