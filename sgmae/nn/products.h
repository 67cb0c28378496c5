// The matrix products of a linear layer, y = x w^T + b, in training. On a CPU with a tile unit they
// are our own (kernels/tiles.h), elsewhere LibTorch's. Activations are fp32 or bf16 (written T
// below), products are added up in fp32. All tensors contiguous.
#pragma once

#include <ATen/core/Tensor.h>

namespace sgmae {

// Whether products on `device` take fp32 weights for activations of any type, rounding them on the
// way; else a weight is to be given in the activations' type.
bool products_round_weights(at::Device device);

// x [M, K] T, w [N, K] and b [N] T (or fp32, see above) -> [M, N] T
at::Tensor linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& b);

// The gradient of x, dy w.   dy [M, N] T, w [N, K] as above -> [M, K] T
at::Tensor linear_input_grad(const at::Tensor& dy, const at::Tensor& w);

// weight_grad [N, K] fp32 += dy^T x.   dy [M, N] T, x [M, K] T
void linear_weight_grad(const at::Tensor& dy, const at::Tensor& x, at::Tensor& weight_grad);

}  // namespace sgmae
