// Curriculum-learned masked autoencoders (Madan et al., CL-MAE, WACV 2024): a masking module is
// first the autoencoder's partner, then its adversary.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgmae/mask/mask_network.h"
#include "sgmae/mask/masking_module.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/train/epoch_means.h"

namespace sgmae {

struct ClMaeOptions : MaskStrategyOptions {
  double gauss = 1, kl = 25.6, diversity = 2;  // weights of KeepPenalties

  std::unique_ptr<MaskStrategyOptions> clone() const override;
  void declare(Options& options) override;
  void check(bool probed) const override;
  std::int64_t random_epochs(std::int64_t) const override { return 0; }
  MaskCost cost(const MaeConfig& model, std::int64_t n_visible, std::int64_t epochs) const override;
  std::unique_ptr<MaskStrategy> make(const MaskContext& context) const override;
};

// Weight of the reconstruction in the module's loss: falls linearly from 1 in epoch 0 of `epochs`
// to -1 in the last, and is never 0.
double curriculum_factor(std::int64_t epoch, std::int64_t epochs);

class ClMae : public MaskStrategy {
 public:
  // Throws Error(usage) where nothing stays visible or nothing is masked.
  ClMae(const ClMaeOptions& options, const MaskContext& context);

  // Hides the patches of the lowest scores.
  MaskPlan plan(const Batch& batch, std::int64_t epoch) override;
  // The module's step: all patches are seen, their tokens times their scores z, by the model as it
  // is; its loss is curriculum_factor * sum((1 - z) * loss of the patch) / sum(1 - z) + penalties.
  void learn(const MaskFeedback& went) override;
  std::vector<Learner*> learners() override { return {&learner_}; }
  nlohmann::ordered_json after_epoch(std::int64_t) override { return told_.means(); }
  TaskState state() const override;
  void restore(const nlohmann::json& state, const TensorFile& file) override;
  nlohmann::json description() const override { return nlohmann::json::object(); }
  std::optional<std::int64_t> guide_start() const override { return 0; }
  std::string guide_reason() const override { return "clmae masks from the first epoch on"; }

 private:
  // Has the frozen model take the present values of the one that is trained.
  void follow_model();

  ClMaeOptions options_;
  MaskContext context_;
  MaskingModule module_;
  Mae frozen_;  // the model's values, without gradients: what is not trained costs no products
  Learner learner_;
  std::int64_t epoch_ = 0;        // of the last plan
  MaskingModule::Trace planned_;  // of the last plan, until learn()
  EpochMeans told_;
};

}  // namespace sgmae
