// The operations of nn/ops.h and nn/patches.h in LibTorch's own operators, for tensors that the
// processor cannot reach: same arguments, results and rounding, on the device of the arguments. On
// CPU tensors they are slow but right, and serve as the other side of tests.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "sgmae/nn/ops.h"
#include "sgmae/nn/patches.h"

namespace sgmae::aten {

void linear_weight_grad(const at::Tensor& dy, const at::Tensor& x, at::Tensor& weight_grad);
void bias_grad(const at::Tensor& dy, at::Tensor& grad);
Normed add_layer_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                      const at::Tensor& bias, double eps, at::ScalarType type);
void layer_norm_backward(const at::Tensor& dy, const Normed& normed, const at::Tensor& weight,
                         at::Tensor& dx, at::Tensor& weight_grad, at::Tensor& bias_grad);
at::Tensor gelu(const at::Tensor& h);
void gelu_backward(const at::Tensor& h, at::Tensor& d, at::Tensor& bias_grad);

// bf16 on CUDA goes through flash attention, which never holds the [n, n] weights.
Attended attention(const at::Tensor& qkv, std::int64_t heads);
at::Tensor attention_backward(const at::Tensor& dout, const at::Tensor& qkv,
                              const Attended& attended, std::int64_t heads);

at::Tensor gather_patches(const at::Tensor& pixels, const at::Tensor& order, std::int64_t n_visible,
                          std::int64_t patch_size, at::ScalarType type);
at::Tensor embed_tokens(const at::Tensor& embedded, const at::Tensor& order, std::int64_t n_visible,
                        const at::Tensor& cls_token, const at::Tensor& pos_embed);
at::Tensor restore_tokens(const at::Tensor& encoded, const at::Tensor& order,
                          std::int64_t n_visible, const at::Tensor& mask_token,
                          const at::Tensor& pos_embed);
at::Tensor append_mask_tokens(const at::Tensor& encoded, const at::Tensor& order,
                              const at::Tensor& masked, const at::Tensor& mask_token,
                              const at::Tensor& pos_embed);
MaeLoss reconstruction_loss(const at::Tensor& pixels, const at::Tensor& pred,
                            const at::Tensor& masked, std::int64_t patch_size, bool norm_pix_loss,
                            double loss_scale, at::Tensor* dpred);

}  // namespace sgmae::aten
