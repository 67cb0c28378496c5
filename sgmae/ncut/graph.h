// The graph of an image: one vertex per patch, weights by cosine similarity (paper, section 3.1).
#pragma once

#include <ATen/core/Tensor.h>

#include "sgmae/ncut/options.h"

namespace sgmae {

// features [B, N, D] less what `center` says, as fp32. `position_mean` is [N, D], needed (and only
// read) for GuideCenter::position; throws Error(checkpoint) when it is absent or of another shape.
at::Tensor center_features(const at::Tensor& features, GuideCenter center,
                           const at::Tensor& position_mean = {});

// M [B, N, N] fp32, M_ij = cos(x_i, x_j) of features [B, N, D]. A zero feature vector has cosine 0
// with all others; NaN stays NaN.
at::Tensor similarity(const at::Tensor& features);

}  // namespace sgmae
