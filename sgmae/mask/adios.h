// Adversarial inference-occlusion self-supervision (Shi et al., ADIOS, ICML 2022), of patches: an
// occluder divides every image into soft masks and learns to hide what the autoencoder misses most.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgmae/dense/layers.h"
#include "sgmae/mask/mask_network.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/train/epoch_means.h"

namespace sgmae {

struct AdiosOptions : MaskStrategyOptions {
  std::int64_t masks = 6;    // N
  double sparsity = 0.889;   // alpha (SimCLR on a ViT)
  double lr_ratio = 0.2845;  // learning rate of the occluder over the model's: 0.033 / 0.116

  std::unique_ptr<MaskStrategyOptions> clone() const override;
  void declare(Options& options) override;
  void check(bool probed) const override;
  std::int64_t random_epochs(std::int64_t) const override { return 0; }
  MaskCost cost(const MaeConfig& model, std::int64_t n_visible, std::int64_t epochs) const override;
  std::unique_ptr<MaskStrategy> make(const MaskContext& context) const override;
};

// Pixels to soft masks: patches embedded, four 3x3 convolutions over their grid, a softmax over the
// masks. Parameters occluder.embed, occluder.layers.0 …, occluder.head.
class Occluder {
 public:
  Occluder(const MaeConfig& config, std::int64_t masks, std::uint64_t seed, at::Device device);
  Occluder(Occluder&&) = default;

  std::vector<Parameter>& parameters() { return parameters_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }

  // pixels [B, C, H, W] -> [B, masks, N] fp32, which sum to 1 over the masks; on the device. Under
  // autograd where gradients are recorded.
  at::Tensor masks(const at::Tensor& pixels) const;

 private:
  std::int64_t patch_size_, rows_, columns_;
  std::vector<Parameter> parameters_;
  Convolution embed_, head_;
  std::vector<Convolution> layers_;
};

// The penalty of masks [B, masks, N] that hide nothing or all: 1 / sin(pi * share of the image),
// mean over masks and images, [].
at::Tensor area_penalty(const at::Tensor& masks);

class Adios : public MaskStrategy {
 public:
  // Throws Error(usage) where nothing stays visible or nothing is masked.
  Adios(const AdiosOptions& options, const MaskContext& context);

  MaskPlan plan(const Batch& batch, std::int64_t epoch) override;
  bool wants_pixel_gradient() const override { return true; }
  void learn(const MaskFeedback& went) override;
  std::vector<Learner*> learners() override { return {&learner_}; }
  nlohmann::ordered_json after_epoch(std::int64_t) override { return told_.means(); }
  TaskState state() const override;
  void restore(const nlohmann::json& state, const TensorFile& file) override;
  nlohmann::json description() const override { return nlohmann::json::object(); }
  std::optional<std::int64_t> guide_start() const override { return 0; }
  std::string guide_reason() const override { return "adios masks from the first epoch on"; }

 private:
  AdiosOptions options_;
  MaskContext context_;
  Occluder occluder_;
  Learner learner_;
  std::int64_t epoch_ = 0;  // of the last plan
  EpochMeans told_;
};

}  // namespace sgmae
