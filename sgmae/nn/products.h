// The matrix products of a linear layer, y = x w^T + b, in training. On a CPU they are our own
// (kernels/product.h), unless it has not even AVX2; there and on other devices LibTorch's.
// Activations are fp32 or bf16 (written T below), products are added up in fp32. All tensors
// contiguous.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace sgmae {

// Whether products on `device` are our own. These take fp32 weights for activations of any type,
// rounding them on the way, and give the same bits for any number of threads; LibTorch's want a
// weight in the activations' type.
bool has_products(at::Device device);

// Memory of the calling thread for a packed operand (kernels/product.h), which begins with a cache
// line. It is kept for the next one: what was just used is still in the caches.
char* packing_memory(std::int64_t bytes);

// x [M, K] T, w [N, K] and b [N] T (or fp32, see above) -> y [M, N] T, new memory where undefined
at::Tensor linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& b, at::Tensor y = {});

// The gradient of x, dy w.   dy [M, N] T, w [N, K] as above -> [M, K] T
at::Tensor linear_input_grad(const at::Tensor& dy, const at::Tensor& w);

// weight_grad [N, K] fp32 += dy^T x.   dy [M, N] T, x [M, K] T
// `zeros`: taken to hold nothing else, and not read if products are our own; the same bits.
void linear_weight_grad(const at::Tensor& dy, const at::Tensor& x, at::Tensor& weight_grad,
                        bool zeros = false);

}  // namespace sgmae
