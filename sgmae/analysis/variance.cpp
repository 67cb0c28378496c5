#include "sgmae/analysis/variance.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>

#include <algorithm>

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

}  // namespace

at::Tensor feature_variance(const at::Tensor& features) {
  SGMAE_ASSERT(features.dim() == 3);
  // As a variance, not as 1 - |mean|^2: where all tokens are alike that would cancel.
  const at::Tensor u = unit_rows(features.to(at::kFloat));
  return (u - u.mean(1, /*keepdim=*/true)).square().sum(2).mean(1);
}

SimilarityVariance similarity_variance(const at::Tensor& relation) {
  SGMAE_ASSERT(relation.dim() == 3 && relation.size(1) == relation.size(2) && relation.size(1) > 1);
  const at::Tensor m = relation.to(at::kCPU, at::kFloat).contiguous();
  const std::int64_t images = m.size(0), n = m.size(1);
  SimilarityVariance result{at::empty({images}, at::kFloat), at::empty({images}, at::kFloat)};
  at::parallel_for(0, images, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t image = begin; image < end; ++image) {
      const float* const pairs = m.data_ptr<float>() + image * n * n;
      // value(m_ij) over all i != j, summed in rows so that fp32 suffices within one.
      const auto sum = [&](auto value) {
        double total = 0;
        for (std::int64_t i = 0; i < n; ++i) {
          const float* const row = pairs + i * n;
          float of_row = 0;
          for (std::int64_t j = 0; j < i; ++j) of_row += value(row[j]);
          for (std::int64_t j = i + 1; j < n; ++j) of_row += value(row[j]);
          total += of_row;
        }
        return total / static_cast<double>(n * (n - 1));
      };
      float low = pairs[1], high = low;
      const auto mean = static_cast<float>(sum([&](float x) {
        low = std::min(low, x);
        high = std::max(high, x);
        return x;
      }));
      const double variance = sum([&](float x) { return (x - mean) * (x - mean); });
      const double range = static_cast<double>(high) - low;
      result.raw.data_ptr<float>()[image] = static_cast<float>(variance);
      result.normalised.data_ptr<float>()[image] =
          static_cast<float>(variance / std::max(range * range, 1e-20));
    }
  });
  return result;
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
