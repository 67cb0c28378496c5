// The operations of a transformer's training step, forward and backward. CPU tensors go through
// kernels/cpu.h, all others through LibTorch's operators (kernels/aten.h). Activations are fp32 or
// bf16 (written T below); the residual stream, statistics and gradients of parameters are fp32. All
// tensors contiguous. Backward functions add to parameter gradients.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace sgmae {

// to (T) = from (fp32), of one shape, rounded to nearest even.
void round_to(const at::Tensor& from, at::Tensor& to);

// grad [N] += column sums of dy [M, N] T.
void bias_grad(const at::Tensor& dy, at::Tensor& grad);

struct Normed {
  at::Tensor sum;         // [M, D] fp32, x + delta
  at::Tensor y;           // [M, D] T, LayerNorm(sum)
  at::Tensor mean, rstd;  // [M] fp32
};

// x [M, D] fp32; delta [M, D] T or undefined; weight, bias [D] fp32.
Normed add_layer_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                      const at::Tensor& bias, double eps, at::ScalarType type);

// dx [M, D] fp32 += gradient through the LayerNorm of `normed`, for dy [M, D] T.
void layer_norm_backward(const at::Tensor& dy, const Normed& normed, const at::Tensor& weight,
                         at::Tensor& dx, at::Tensor& weight_grad, at::Tensor& bias_grad);

// The exact GELU, T -> T.
at::Tensor gelu(const at::Tensor& h);

// d [M, D] T *= gelu'(h) in place; bias_grad [D] += its column sums.
void gelu_backward(const at::Tensor& h, at::Tensor& d, at::Tensor& bias_grad);

struct Attended {
  at::Tensor out;          // [B, n, D] T, heads concatenated
  at::Tensor log_sum_exp;  // [B, heads, n] fp32
};

// Softmax attention, scale head_dim^-1/2.   qkv [B, n, 3, D] T, D head-major
Attended attention(const at::Tensor& qkv, std::int64_t heads);

// -> dqkv [B, n, 3, D] T for dout [B, n, D] T.
at::Tensor attention_backward(const at::Tensor& dout, const at::Tensor& qkv,
                              const Attended& attended, std::int64_t heads);

// [B, heads, n, n] fp32 softmax weights, for taps.
at::Tensor attention_weights(const at::Tensor& qkv, std::int64_t heads);

// Has the process keep memory that tensors free, for the next ones. By default the C library gives
// large blocks back to the system at once, and mapping them anew is a fifth of a small model's
// step.
void keep_freed_memory();
// Gives what is free back to the system all the same: after something large that will not come
// again.
void release_freed_memory();

}  // namespace sgmae
