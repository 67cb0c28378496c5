#include "sgmae/analysis/reconstruction.h"

#include <ATen/ops/where.h>

#include "sgmae/nn/patches.h"

namespace sgmae {

at::Tensor reconstruction(const Mae& model, const at::Tensor& pixels, const MaskPlan& plan) {
  const MaeConfig& config = model.config();
  const at::Tensor given = patchify(pixels, config.patch_size);
  at::Tensor predicted = model.forward(pixels, plan).pred;
  if (config.norm_pix_loss) {
    const at::Tensor mean = given.mean(-1, /*keepdim=*/true);
    const at::Tensor deviation =
        given.var(-1, /*unbiased=*/true, /*keepdim=*/true).add(1e-6).sqrt();
    predicted = predicted.mul(deviation).add(mean);
  }
  const at::Tensor masked = mask_of(plan).unsqueeze(-1).to(at::kBool);
  return unpatchify(at::where(masked, predicted, given), config.channels, config.height,
                    config.width);
}

}  // namespace sgmae
