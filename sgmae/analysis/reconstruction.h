// What an autoencoder makes of images of which it sees a part.
#pragma once

#include <ATen/core/Tensor.h>

#include "sgmae/nn/mae.h"
#include "sgmae/nn/mask_plan.h"

namespace sgmae {

// Reconstructed pixels [B, C, H, W], normalised: the given ones where visible, predictions where
// masked. A norm_pix_loss model predicts patches less their mean and deviation; the true ones are
// put back, so such a picture knows more than the model does.
at::Tensor reconstruction(const Mae& model, const at::Tensor& pixels, const MaskPlan& plan);

}  // namespace sgmae
