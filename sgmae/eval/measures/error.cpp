// Mean squared error on masked and on visible patches, of what the model was trained to predict.
#include <ATen/TensorOperators.h>

#include "sgmae/eval/measure.h"
#include "sgmae/nn/patches.h"

namespace sgmae::measure {
namespace {

void see(const Scene& scene, const MaeOutput& output, const at::Tensor& mask) {
  const MaeConfig& config = scene.subject.mae->config();
  at::Tensor target = patchify(scene.pixels, config.patch_size);
  if (config.norm_pix_loss)
    target = (target - target.mean(-1, /*keepdim=*/true)) /
             target.var(-1, /*unbiased=*/true, /*keepdim=*/true).add(1e-6).sqrt();
  const at::Tensor error = (output.pred - target).square().mean(-1);  // [B, N]
  // One curve for all epochs of a run.
  const auto add = [&](const char* label, const at::Tensor& of) {
    scene.table.add(
        {.metric = "reconstruction_error", .model = scene.subject.last_of_run, .label = label},
        static_cast<double>(scene.subject.epoch.value_or(0)), (error * of).sum(1) / of.sum(1));
  };
  add("masked patches", mask);
  add("visible patches", 1 - mask);
}

}  // namespace

Measure error() {
  return {.order = 140,
          .summary = "reconstruction error, with a picture",
          .needs_decoder = true,
          .charts = {{"reconstruction_error",
                      "Reconstruction error",
                      "",
                      "Good: falls on masked patches. On visible ones it may stay high, as they "
                      "never enter the loss.",
                      "mean square",
                      {"label"},
                      "epoch"}},
          .see_output = see};
}

}  // namespace sgmae::measure
