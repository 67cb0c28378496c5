#include "sgmae/analysis/relations.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_vector_norm.h>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

void check_class_token(std::int64_t prefix) {
  check(prefix > 0, ExitCode::usage,
        "attention of the class token was requested, but this model has none; use a model that has "
        "one");
}

at::Tensor among_patches(const at::Tensor& relation, std::int64_t prefix) {
  const at::Tensor patches = relation.slice(-2, prefix).slice(-1, prefix);
  return patches / patches.sum(-1, /*keepdim=*/true);
}

at::Tensor heads_averaged(const at::Tensor& attention) {
  SGMAE_ASSERT(attention.dim() == 4 && attention.size(2) == attention.size(3) &&
               attention.size(2) > 1);
  return attention.to(at::kFloat).mean(1);
}

}  // namespace

at::Tensor patch_attention(const at::Tensor& attention, std::int64_t prefix) {
  SGMAE_ASSERT(attention.dim() == 4 && attention.size(2) == attention.size(3) &&
               attention.size(2) > 1);
  return among_patches(attention.to(at::kFloat), prefix);
}

at::Tensor attention_relation(const at::Tensor& attention, std::int64_t prefix) {
  return among_patches(heads_averaged(attention), prefix);
}

at::Tensor similarity_to_mean(const at::Tensor& features) {
  SGMAE_ASSERT(features.dim() == 3);
  const at::Tensor x = features.to(at::kFloat);
  const at::Tensor mean = x.mean(1, /*keepdim=*/true);  // [B, 1, D]
  const at::Tensor lengths = at::linalg_vector_norm(x, 2, at::IntArrayRef{2}) *
                             at::linalg_vector_norm(mean, 2, at::IntArrayRef{2});
  return at::bmm(x, mean.transpose(1, 2)).squeeze(2) / lengths.clamp_min(1e-20);
}

at::Tensor cls_attention(const at::Tensor& attention, std::int64_t prefix) {
  check_class_token(prefix);
  return heads_averaged(attention).select(1, 0).slice(1, prefix).contiguous();
}

at::Tensor min_max(const at::Tensor& x) {
  const at::Tensor flat = x.reshape({x.size(0), -1});
  const at::Tensor low = flat.amin(1, /*keepdim=*/true);
  const at::Tensor range = flat.amax(1, /*keepdim=*/true) - low;
  return ((flat - low) / range.clamp_min(1e-20)).view(x.sizes());
}

at::Tensor attention_rollout(const std::vector<at::Tensor>& attention, std::int64_t prefix) {
  SGMAE_ASSERT(!attention.empty());
  check_class_token(prefix);
  const std::int64_t n = attention.front().size(2);
  const at::Tensor identity = at::eye(n, attention.front().options().dtype(at::kFloat));
  // Only the row of CLS is wanted, so the product is taken from the last layer back.
  at::Tensor row;  // [B, 1, n]
  for (auto layer = attention.rbegin(); layer != attention.rend(); ++layer) {
    const at::Tensor mixed = heads_averaged(*layer).add(identity).mul(0.5);
    row = row.defined() ? at::bmm(row, mixed) : mixed.slice(1, 0, 1);
  }
  const at::Tensor patches = row.squeeze(1).slice(1, prefix);
  return patches / patches.sum(1, /*keepdim=*/true).clamp_min(1e-20);
}

at::Tensor relation_divergence(const at::Tensor& p, const at::Tensor& q) {
  SGMAE_ASSERT(p.dim() == 3 && p.sizes() == q.sizes());
  const at::Tensor ratio = p.clamp_min(1e-12).log_().sub_(q.clamp_min(1e-12).log_());
  return ratio.mul_(p).sum(2).mean(1);
}

}  // namespace sgmae
