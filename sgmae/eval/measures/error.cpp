// Mean squared error on masked and on visible patches, of what the model was trained to predict.
#include <ATen/TensorOperators.h>

#include "sgmae/eval/measure.h"
#include "sgmae/nn/patches.h"

namespace sgmae::measure {
namespace {

class ReconstructionError : public Gauge {
  std::optional<std::set<std::string>> masked(const Scene&) const override {
    return std::set<std::string>{};
  }

  void see_output(const Scene& scene, const MaeOutput& output, const at::Tensor& mask) override {
    const MaeConfig& config = scene.subject.mae->config();
    at::Tensor target = patchify(scene.pixels, config.patch_size);
    if (config.norm_pix_loss)
      target = (target - target.mean(-1, /*keepdim=*/true)) /
               target.var(-1, /*unbiased=*/true, /*keepdim=*/true).add(1e-6).sqrt();
    const at::Tensor error = (output.pred - target).square().mean(-1);  // [B, N]
    const auto x = static_cast<double>(scene.subject.epoch.value_or(0));
    // One curve for all epochs of a run.
    SeriesId id{.metric = "reconstruction_error", .model = scene.subject.last_of_run};
    id.label = "masked patches";
    scene.table.add(id, x, (error * mask).sum(1) / mask.sum(1));
    id.label = "visible patches";
    scene.table.add(id, x, (error * (1 - mask)).sum(1) / (1 - mask).sum(1));
  }
};

}  // namespace

Measure error() {
  return {
      .name = "error",
      .order = 140,
      .summary = "reconstruction error, with a picture",
      .needs_decoder = true,
      .charts =
          {{"reconstruction_error", "Reconstruction error", "", "mean square", "epoch", {"label"}}},
      .gauge = gauge<ReconstructionError>};
}

}  // namespace sgmae::measure
