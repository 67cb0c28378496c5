#include "sgmae/analysis/attention_shape.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mv.h>

#include <cmath>

#include "sgmae/base/error.h"

namespace sgmae {

at::Tensor attention_distance(const at::Tensor& attention, std::int64_t columns,
                              std::int64_t patch_size) {
  SGMAE_ASSERT(attention.dim() == 4 && columns > 0);
  const std::int64_t n = attention.size(3);
  at::Tensor distance = at::empty({n, n}, at::kFloat);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j)
      distance.data_ptr<float>()[i * n + j] =
          static_cast<float>(static_cast<double>(patch_size) *
                             std::hypot(i / columns - j / columns, i % columns - j % columns));
  const std::int64_t images = attention.size(0), heads = attention.size(1);
  return at::mv(attention.reshape({images * heads, n * n}), distance.view({n * n}))
      .div(static_cast<double>(n))
      .view({images, heads});
}

at::Tensor attention_nmi(const at::Tensor& attention) {
  SGMAE_ASSERT(attention.dim() == 4 && attention.size(2) > 1);
  const auto n = static_cast<double>(attention.size(2));
  const at::Tensor p = attention.add(1e-8).div_(1 + 1e-8 * n);  // rows sum to 1 as before
  const at::Tensor key = p.mean(2);                             // p(k) [B, H, N]
  const at::Tensor key_entropy = key.log().mul_(key).sum(2).neg();
  // MI = H(k) - H(k | q), the latter the mean entropy of rows.
  const at::Tensor information = key_entropy + p.log().mul_(p).sum({2, 3}).div(n);
  return information / (key_entropy * std::log(n)).sqrt();
}

}  // namespace sgmae
