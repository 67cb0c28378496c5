// AutoMAE (Chen et al., Improving masked autoencoders by learning where to mask, PRCV 2023): a
// generator turns the class token's attention into scores of patches, which are masked more often;
// it learns from the reconstruction and from a discriminator whose idea of a mask is a rectangle.
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

struct AutoMaeOptions : MaskStrategyOptions {
  double factor = 0.5;       // what a chosen patch's key is raised by
  double adversarial = 0.2;  // weight of the discriminator's judgement beside the reconstruction

  std::unique_ptr<MaskStrategyOptions> clone() const override;
  void declare(Options& options) override;
  void check(bool probed) const override;
  std::int64_t random_epochs(std::int64_t) const override { return 0; }
  MaskCost cost(const MaeConfig& model, std::int64_t n_visible, std::int64_t epochs) const override;
  std::unique_ptr<MaskStrategy> make(const MaskContext& context) const override;
};

// Attention to scores: a 3x3 convolution of heads to half as many, ReLU, one to a single channel.
// Parameters generator.0 and generator.1.
class MaskGenerator {
 public:
  MaskGenerator(std::int64_t heads, std::uint64_t seed, at::Device device);
  MaskGenerator(MaskGenerator&&) = default;

  std::vector<Parameter>& parameters() { return parameters_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }

  // attention [B, heads, rows, columns] -> [B, N] fp32: logarithms of shares that sum to 1.
  at::Tensor scores(const at::Tensor& attention) const;

 private:
  std::vector<Parameter> parameters_;
  Convolution first_, second_;
};

// Whether shares of patches look like a rectangle: three 3x3 convolutions without bias (16, 32 and
// 1 channels, the second of stride 2), each divided by its largest singular value, leaky ReLU (0.2)
// between, a sigmoid behind. Parameters discriminator.0 … discriminator.2.
class MaskDiscriminator {
 public:
  MaskDiscriminator(std::uint64_t seed, at::Device device);
  MaskDiscriminator(MaskDiscriminator&&) = default;

  std::vector<Parameter>& parameters() { return parameters_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }

  // shares [B, 1, rows, columns] -> verdicts in 0 .. 1 on a grid half as large, 1 for a rectangle.
  // Its own gradients are recorded only where it is `learning`.
  at::Tensor verdicts(const at::Tensor& shares, bool learning);

 private:
  std::vector<Parameter> parameters_;
};

// What AutoMAE draws for an image.
struct AutoMaeDraws {
  std::vector<float> gumbel;     // [N] added to scores
  std::vector<float> rectangle;  // [N] a mask as the discriminator should like it: 0.5 within a
                                 // random rectangle of 10 to 40 of 64 patches, noise of 0.1
  std::vector<float> key;        // [N] U(0, 1), the order of patches without the generator
};
AutoMaeDraws draw_automae(Rng& rng, std::int64_t rows, std::int64_t columns);

class AutoMae : public MaskStrategy {
 public:
  // Throws Error(usage) where nothing stays visible or nothing is masked.
  AutoMae(const AutoMaeOptions& options, const MaskContext& context);

  MaskPlan plan(const Batch& batch, std::int64_t epoch) override;
  bool wants_pixel_gradient() const override { return true; }
  void learn(const MaskFeedback& went) override;
  std::vector<Learner*> learners() override {
    return {&generator_learner_, &discriminator_learner_};
  }
  nlohmann::ordered_json after_epoch(std::int64_t) override { return told_.means(); }
  TaskState state() const override;
  void restore(const nlohmann::json& state, const TensorFile& file) override;
  nlohmann::json description() const override { return nlohmann::json::object(); }
  std::optional<std::int64_t> guide_start() const override { return 0; }
  std::string guide_reason() const override { return "automae masks from the first epoch on"; }

 private:
  // Of whole images, from the class token to the patches in the last block, in units of even
  // attention: [B, heads, rows, columns] fp32 on the model's device.
  at::Tensor attention(const at::Tensor& pixels) const;

  AutoMaeOptions options_;
  MaskContext context_;
  MaskGenerator generator_;
  MaskDiscriminator discriminator_;
  Learner generator_learner_, discriminator_learner_;
  std::int64_t epoch_ = 0;  // of the last plan
  at::Tensor attention_;    // of the last plan's images, until learn()
  EpochMeans told_;
};

}  // namespace sgmae
