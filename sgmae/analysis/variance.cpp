#include "sgmae/analysis/variance.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_vector_norm.h>

#include <limits>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

at::Tensor unit_rows(const at::Tensor& x) {
  return x / at::linalg_vector_norm(x, 2, at::IntArrayRef{2}, /*keepdim=*/true).clamp_min(1e-20);
}

// Mean over the rows that `weight` [B, N] (0 or 1) picks: [B, 1, D].
at::Tensor weighted_mean(const at::Tensor& x, const at::Tensor& weight) {
  return at::bmm(weight.unsqueeze(1), x) / weight.sum(1).view({-1, 1, 1});
}

at::Tensor off_diagonal_mean(const at::Tensor& relation) {
  const std::int64_t n = relation.size(1);
  const at::Tensor diagonal = relation.diagonal(0, 1, 2);
  return (relation.sum({1, 2}) - diagonal.sum(1)) / static_cast<double>(n * (n - 1));
}

}  // namespace

at::Tensor feature_variance(const at::Tensor& features) {
  SGMAE_ASSERT(features.dim() == 3);
  // As a variance, not as 1 - |mean|^2: where all tokens are alike that would cancel.
  const at::Tensor u = unit_rows(features.to(at::kFloat));
  return (u - u.mean(1, /*keepdim=*/true)).square().sum(2).mean(1);
}

at::Tensor similarity_variance(const at::Tensor& relation) {
  SGMAE_ASSERT(relation.dim() == 3 && relation.size(1) == relation.size(2) && relation.size(1) > 1);
  const at::Tensor m = relation.to(at::kFloat);
  return off_diagonal_mean((m - off_diagonal_mean(m).view({-1, 1, 1})).square());
}

at::Tensor normalised_similarity_variance(const at::Tensor& relation) {
  SGMAE_ASSERT(relation.dim() == 3 && relation.size(1) == relation.size(2) && relation.size(1) > 1);
  const at::Tensor m = relation.to(at::kFloat);
  const at::Tensor diagonal = at::eye(m.size(1), m.options().dtype(at::kBool));
  const double infinity = std::numeric_limits<double>::infinity();
  const at::Tensor range = m.masked_fill(diagonal, -infinity).amax({1, 2}) -
                           m.masked_fill(diagonal, infinity).amin({1, 2});
  return similarity_variance(m) / range.square().clamp_min(1e-20);
}

MaskTokenVariance mask_token_variance(const at::Tensor& features, const at::Tensor& mask) {
  SGMAE_ASSERT(features.dim() == 3 && mask.dim() == 2 && mask.size(0) == features.size(0) &&
               mask.size(1) == features.size(1));
  const at::Tensor x = features.to(at::kFloat), weight = mask.to(at::kFloat);
  const auto variance = [&](const at::Tensor& rows) {  // [B, D]
    return weighted_mean((rows - weighted_mean(rows, weight)).square(), weight).squeeze(1);
  };
  return {variance(unit_rows(x)).sum(1), variance(x).mean(1)};
}

}  // namespace sgmae
