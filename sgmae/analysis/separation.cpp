#include "sgmae/analysis/separation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>

#include <limits>

#include "sgmae/base/error.h"

namespace sgmae {

Separation separation(const at::Tensor& relation, const at::Tensor& side) {
  SGMAE_ASSERT(relation.dim() == 3 && side.dim() == 2 && relation.size(0) == side.size(0) &&
               relation.size(1) == side.size(1) && relation.size(2) == side.size(1));
  const at::Tensor m = relation.to(at::kFloat);
  const at::Tensor s = side.to(at::kFloat);
  const at::Tensor in = s.sum(1), out = s.size(1) - in;  // patches of each side
  // Row sums over the 1 side and over the 0 side.
  const at::Tensor to_in = at::bmm(m, s.unsqueeze(2)).squeeze(2);
  const at::Tensor to_out = m.sum(2) - to_in;
  const at::Tensor within = (s * to_in + (1 - s) * to_out).sum(1) - m.diagonal(0, 1, 2).sum(1);
  const at::Tensor between = (s * to_out + (1 - s) * to_in).sum(1);
  const at::Tensor one_side = (in == 0).logical_or(out == 0);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  return {(within / (in * (in - 1) + out * (out - 1))).masked_fill(one_side, nan),
          (between / (2 * in * out)).masked_fill(one_side, nan)};
}

}  // namespace sgmae
