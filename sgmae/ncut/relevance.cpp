#include "sgmae/ncut/relevance.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/linalg_vector_norm.h>

#include "sgmae/base/error.h"

namespace sgmae {

at::Tensor relevance(const at::Tensor& features, const at::Tensor& object_side) {
  SGMAE_ASSERT(features.dim() == 3 && object_side.dim() == 2);
  SGMAE_ASSERT(object_side.size(0) == features.size(0) && object_side.size(1) == features.size(1));
  const at::Tensor x = features.to(at::kFloat);
  const at::Tensor side = object_side.to(x.device(), at::kFloat);
  const at::Tensor mean =  // [B, D, 1]; 0 / 0 = NaN without an object side
      at::bmm(side.unsqueeze(1), x).transpose(1, 2) / side.sum(1).view({-1, 1, 1});
  const at::Tensor lengths = at::linalg_vector_norm(x, 2, at::IntArrayRef{2}) *
                             at::linalg_vector_norm(mean, 2, at::IntArrayRef{1});
  return at::bmm(x, mean).squeeze(2) / lengths.clamp_min(1e-20);
}

}  // namespace sgmae
