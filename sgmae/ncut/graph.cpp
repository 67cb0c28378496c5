#include "sgmae/ncut/graph.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/linalg_vector_norm.h>

#include "sgmae/base/error.h"

namespace sgmae {

at::Tensor center_features(const at::Tensor& features, GuideCenter center,
                           const at::Tensor& position_mean) {
  SGMAE_ASSERT(features.dim() == 3);
  const at::Tensor x = features.to(at::kFloat);
  if (center == GuideCenter::none) return x;
  if (center == GuideCenter::mean) return x - x.mean(1, /*keepdim=*/true);
  check(
      position_mean.defined(), ExitCode::checkpoint,
      "guide_center = position needs the mean feature of every grid position, and this checkpoint "
      "has none (its run had not begun guidance); use --guide_center mean or none");
  check(position_mean.dim() == 2 && position_mean.size(0) == x.size(1) &&
            position_mean.size(1) == x.size(2),
        ExitCode::checkpoint, "the stored position means are for ", position_mean.sizes(),
        " (patches, width) but the features are ", x.sizes().slice(1),
        "; use the guide layer and image size of the run that made them");
  return x - position_mean.to(x.device(), at::kFloat);
}

at::Tensor similarity(const at::Tensor& features) {
  SGMAE_ASSERT(features.dim() == 3);
  const at::Tensor x = features.to(at::kFloat);
  // Dividing by a tiny norm instead of 0 keeps zero vectors zero, and lets NaN through.
  const at::Tensor length = at::linalg_vector_norm(x, 2, at::IntArrayRef{2}, /*keepdim=*/true);
  const at::Tensor unit = x / length.clamp_min(1e-20);
  return at::bmm(unit, unit.transpose(1, 2));
}

}  // namespace sgmae
