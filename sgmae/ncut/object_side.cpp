#include "sgmae/ncut/object_side.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

// `other` [B] bool: images whose sides are exchanged.
void exchange(Bipartition& cut, const at::Tensor& other) {
  at::Tensor chosen = other.clone();
  for (std::int64_t image = 0; image < chosen.size(0); ++image)
    if (cut.degenerate[static_cast<std::size_t>(image)]) chosen[image] = false;
  const at::Tensor rows = chosen.unsqueeze(1);
  cut.object_side = at::where(rows, 1 - cut.object_side, cut.object_side);
  cut.eigenvector = at::where(rows, -cut.eigenvector, cut.eigenvector);
}

}  // namespace

void take_higher_side(Bipartition& cut, const at::Tensor& score) {
  SGMAE_ASSERT(score.dim() == 2 && score.size(1) == cut.object_side.size(1));
  const at::Tensor values = score.to(at::kCPU, at::kDouble);
  const at::Tensor side = cut.object_side.to(at::kDouble);
  const at::Tensor here = (values * side).sum(1) / side.sum(1);
  const at::Tensor there = (values * (1 - side)).sum(1) / (1 - side).sum(1);
  exchange(cut, there - here > 1e-6 * values.abs().mean(1));
}

void take_smaller_side(Bipartition& cut) {
  exchange(cut, 2 * cut.object_side.sum(1) > cut.object_side.size(1));
}

at::Tensor inner_patches(std::int64_t n, std::int64_t columns) {
  SGMAE_ASSERT(columns > 0 && n % columns == 0);
  const std::int64_t rows = n / columns;
  at::Tensor inner = at::zeros({rows, columns}, at::kFloat);
  if (rows > 2 && columns > 2) inner.slice(0, 1, rows - 1).slice(1, 1, columns - 1).fill_(1);
  return inner.view({n});
}

at::Tensor negative_degree(const at::Tensor& similarity, const NcutOptions& options) {
  const at::Tensor kept = options.binary ? similarity * 0 + 1 : similarity;
  return -kept.masked_fill(similarity < options.tau, options.epsilon).sum(2);
}

}  // namespace sgmae
