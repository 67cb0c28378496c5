#include "sgmae/nn/kernels/aten.h"

#include <ATen/ops/_scaled_dot_product_flash_attention.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_backward.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/native_layer_norm_backward.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/var_mean.h>
#include <ATen/ops/zeros.h>

#include <cmath>

namespace sgmae::aten {
namespace {

// Queries, keys and values of qkv [B, n, 3, D], each [B, heads, n, d] in the same memory.
struct Heads {
  at::Tensor q, k, v;

  Heads(const at::Tensor& qkv, std::int64_t heads)
      : q(split(qkv.select(2, 0), heads)),
        k(split(qkv.select(2, 1), heads)),
        v(split(qkv.select(2, 2), heads)) {}

  static at::Tensor split(const at::Tensor& tokens, std::int64_t heads) {
    return tokens.view({tokens.size(0), tokens.size(1), heads, tokens.size(2) / heads})
        .transpose(1, 2);
  }
  void to_float() {
    for (at::Tensor* part : {&q, &k, &v}) *part = part->to(at::kFloat);
  }
  double scale() const { return 1.0 / std::sqrt(static_cast<double>(q.size(3))); }
  // [B, heads, n, n]
  at::Tensor logits() const { return at::matmul(q, k.transpose(2, 3)).mul_(scale()); }
};

// [B, heads, n, d] -> [B, n, D]
at::Tensor merge(const at::Tensor& heads) {
  return heads.transpose(1, 2).reshape({heads.size(0), heads.size(2), -1});
}

// What flash attention takes (on GPUs since Ampere, as bf16 itself).
bool has_flash_attention(const Heads& heads) {
  const std::int64_t d = heads.q.size(3);
  return heads.q.is_cuda() && heads.q.scalar_type() == at::kBFloat16 && d % 8 == 0 && d <= 256;
}

// Row numbers [B*k] of `positions` [B, k] in a tensor that holds `tokens` rows for each image.
at::Tensor rows_of(const at::Tensor& positions, std::int64_t tokens) {
  const at::Tensor first = at::arange(positions.size(0), positions.options()).mul_(tokens);
  return positions.add(first.unsqueeze(1)).view({-1});
}

// The rows [B*(1+n_visible)], among 1 + N of each image, of CLS and the visible patches.
at::Tensor encoded_rows(const at::Tensor& order, std::int64_t n_visible) {
  const at::Tensor cls = at::zeros({order.size(0), 1}, order.options());
  return rows_of(at::cat({cls, order.narrow(1, 0, n_visible).add(1)}, 1), 1 + order.size(1));
}

}  // namespace

void linear_weight_grad(const at::Tensor& dy, const at::Tensor& x, at::Tensor& weight_grad) {
  if (dy.is_cuda() && dy.scalar_type() == at::kBFloat16)
    weight_grad.add_(at::mm(dy.t(), x, at::kFloat));  // bf16 operands, fp32 sums
  else
    weight_grad.addmm_(dy.to(at::kFloat).t(), x.to(at::kFloat));
}

void bias_grad(const at::Tensor& dy, at::Tensor& grad) {
  grad.add_(dy.view({-1, dy.size(-1)}).sum(at::IntArrayRef{0}, false, at::kFloat));
}

Normed add_layer_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                      const at::Tensor& bias, double eps, at::ScalarType type) {
  const at::Tensor sum = delta.defined() ? x.add(delta) : x;
  const auto [y, mean, rstd] = at::native_layer_norm(sum, {x.size(1)}, weight, bias, eps);
  return {sum, y.to(type), mean.view({-1}), rstd.view({-1})};
}

void layer_norm_backward(const at::Tensor& dy, const Normed& normed, const at::Tensor& weight,
                         at::Tensor& dx, at::Tensor& weight_grad, at::Tensor& bias_grad) {
  // Of the bias only its shape is looked at, which is the weight's.
  const auto [d, dweight, dbias] = at::native_layer_norm_backward(
      dy.to(at::kFloat), normed.sum, {dx.size(1)}, normed.mean.view({-1, 1}),
      normed.rstd.view({-1, 1}), weight, /*bias=*/weight, {true, true, true});
  dx.add_(d);
  weight_grad.add_(dweight);
  bias_grad.add_(dbias);
}

at::Tensor gelu(const at::Tensor& h) {
  return at::gelu(h);
}

void gelu_backward(const at::Tensor& h, at::Tensor& d, at::Tensor& grad) {
  at::gelu_backward_out(d, d, h);
  bias_grad(d, grad);
}

Attended attention(const at::Tensor& qkv, std::int64_t heads) {
  Heads in(qkv, heads);
  if (has_flash_attention(in)) {
    const auto result = at::_scaled_dot_product_flash_attention(in.q, in.k, in.v);
    return {merge(std::get<0>(result)), std::get<1>(result)};
  }
  in.to_float();
  const at::Tensor logits = in.logits();
  const at::Tensor log_sum_exp = at::logsumexp(logits, {-1});
  const at::Tensor weights = logits.sub(log_sum_exp.unsqueeze(-1)).exp_();
  return {merge(at::matmul(weights, in.v)).to(qkv.scalar_type()), log_sum_exp};
}

at::Tensor attention_backward(const at::Tensor& dout, const at::Tensor& qkv,
                              const Attended& attended, std::int64_t heads) {
  Heads in(qkv, heads);
  const at::Tensor dheads = Heads::split(dout, heads);
  const auto together = [&](const at::Tensor& dq, const at::Tensor& dk, const at::Tensor& dv) {
    return at::stack({merge(dq), merge(dk), merge(dv)}, 2).to(qkv.scalar_type());
  };
  if (has_flash_attention(in)) {
    // Sequences of one length, no dropout: neither their lengths nor a random state are looked at.
    const std::int64_t n = qkv.size(1);
    const auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_backward(
        dheads, in.q, in.k, in.v, Heads::split(attended.out, heads), attended.log_sum_exp,
        /*cum_seq_q=*/{}, /*cum_seq_k=*/{}, n, n, /*dropout_p=*/0, /*is_causal=*/false,
        /*philox_seed=*/{}, /*philox_offset=*/{});
    return together(dq, dk, dv);
  }
  in.to_float();
  const at::Tensor g = dheads.to(at::kFloat);
  const at::Tensor weights = in.logits().sub_(attended.log_sum_exp.unsqueeze(-1)).exp_();
  const at::Tensor dweights = at::matmul(g, in.v.transpose(2, 3));
  const at::Tensor delta = weights.mul(dweights).sum({-1}, /*keepdim=*/true);
  const at::Tensor dlogits = dweights.sub(delta).mul_(weights).mul_(in.scale());
  return together(at::matmul(dlogits, in.k), at::matmul(dlogits.transpose(2, 3), in.q),
                  at::matmul(weights.transpose(2, 3), g));
}

at::Tensor gather_patches(const at::Tensor& pixels, const at::Tensor& order, std::int64_t n_visible,
                          std::int64_t patch_size, at::ScalarType type) {
  const std::int64_t channels = pixels.size(1), p = patch_size;
  return pixels.reshape({pixels.size(0), channels, pixels.size(2) / p, p, pixels.size(3) / p, p})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({-1, channels * p * p})
      .index_select(0, rows_of(order.narrow(1, 0, n_visible), order.size(1)))
      .to(type);
}

at::Tensor embed_tokens(const at::Tensor& embedded, const at::Tensor& order, std::int64_t n_visible,
                        const at::Tensor& cls_token, const at::Tensor& pos_embed) {
  const std::int64_t batch = order.size(0), dim = embedded.size(1);
  const at::Tensor positions = order.narrow(1, 0, n_visible).add(1).view({-1});
  const at::Tensor tokens = embedded.to(at::kFloat)
                                .add(pos_embed.view({-1, dim}).index_select(0, positions))
                                .view({batch, n_visible, dim});
  const at::Tensor cls = cls_token.add(pos_embed.narrow(1, 0, 1)).expand({batch, 1, dim});
  return at::cat({cls, tokens}, 1).view({-1, dim});
}

at::Tensor restore_tokens(const at::Tensor& encoded, const at::Tensor& order,
                          std::int64_t n_visible, const at::Tensor& mask_token,
                          const at::Tensor& pos_embed) {
  const std::int64_t batch = order.size(0), n = order.size(1), dim = encoded.size(1);
  at::Tensor x = mask_token.expand({batch, 1 + n, dim}).clone(at::MemoryFormat::Contiguous);
  x.view({-1, dim}).index_copy_(0, encoded_rows(order, n_visible), encoded.to(at::kFloat));
  return x.add_(pos_embed).view({-1, dim});
}

at::Tensor append_mask_tokens(const at::Tensor& encoded, const at::Tensor& order,
                              const at::Tensor& masked, const at::Tensor& mask_token,
                              const at::Tensor& pos_embed) {
  const std::int64_t batch = order.size(0), dim = encoded.size(1), n_masked = masked.size(1);
  const std::int64_t encoded_each = encoded.size(0) / batch;
  const at::Tensor table = pos_embed.view({-1, dim});
  const at::Tensor places = at::cat({at::zeros({batch, 1}, order.options()),
                                     order.narrow(1, 0, encoded_each - 1).add(1), masked.add(1)},
                                    1);
  const at::Tensor tokens = at::cat({encoded.to(at::kFloat).view({batch, encoded_each, dim}),
                                     mask_token.expand({batch, n_masked, dim})},
                                    1);
  return tokens.view({-1, dim}).add(table.index_select(0, places.view({-1})));
}

MaeLoss reconstruction_loss(const at::Tensor& pixels, const at::Tensor& pred,
                            const at::Tensor& masked, std::int64_t patch_size, bool norm_pix_loss,
                            double loss_scale, at::Tensor* dpred) {
  const at::Tensor patches = patchify(pixels, patch_size);
  at::Tensor target = rows_at(patches.view({-1, patches.size(2)}), masked);
  if (norm_pix_loss) {
    const auto [variance, mean] = at::var_mean(target, at::IntArrayRef{1}, /*unbiased=*/true,
                                               /*keepdim=*/true);
    target = target.sub(mean).mul_(variance.add(1e-6).rsqrt_());
  }
  const at::Tensor difference = pred.to(at::kFloat).sub(target);
  const double count = static_cast<double>(difference.numel());
  if (dpred) *dpred = difference.mul(2.0 * loss_scale / count).to(pred.scalar_type());
  const at::Tensor squares = difference.square();
  return {squares.sum(at::kDouble).div(count), squares.mean({1}).view({masked.size(0), -1})};
}

}  // namespace sgmae::aten
