// Hard patches mining (Wang et al., CVPR 2023): a second decoder learns where the reconstruction
// loss is high, and its moving average, which sees the whole image, says which patches to mask;
// more and more of them as training goes on.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "sgmae/base/rng.h"
#include "sgmae/mask/loss_predictor.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/mask/teacher.h"
#include "sgmae/train/epoch_means.h"

namespace sgmae {

enum class ScoreTarget { relative, absolute };

struct HpmOptions : MaskStrategyOptions {
  ScoreTarget target = ScoreTarget::relative;
  double loss_weight = 1;                          // of the predictor's loss beside MAE's
  double hardest = 0.5;                            // share of the masked patches, at the end
  double momentum = 0.999, momentum_end = 0.9999;  // of the teacher, linear over …
  std::int64_t momentum_epochs = 100;

  std::unique_ptr<MaskStrategyOptions> clone() const override;
  void declare(Options& options) override;
  void check(bool probed) const override;
  std::int64_t random_epochs(std::int64_t) const override { return 0; }
  MaskCost cost(const MaeConfig& model, std::int64_t n_visible, std::int64_t epochs) const override;
  std::unique_ptr<MaskStrategy> make(const MaskContext& context) const override;
};

// Writes an order of patches (MaskPlan): the n_hardest of the highest scores are masked, ties
// drawn, and so many others, drawn from the rest, that n_visible stay.
void hardest_order(std::span<const float> scores, std::int64_t n_visible, std::int64_t n_hardest,
                   Rng rng, std::span<std::int64_t> order);

class Hpm : public MaskStrategy {
 public:
  Hpm(const HpmOptions& options, const MaskContext& context);

  // The teacher's scores [B, N] fp32 of whole images, on its device.
  at::Tensor scores(const at::Tensor& pixels) const;
  // Masked patches that scores decide: int(n_masked * hardest * (epoch + 1) / epochs).
  std::int64_t hardest_count(std::int64_t epoch) const;

  MaskPlan plan(const Batch& batch, std::int64_t epoch) override;
  DecoderInputReader decoder_input_reader(const MaskPlan& plan, double loss_scale) override;
  std::vector<Learner*> learners() override { return {&learner_}; }
  void after_step(const StepDone& step) override;
  nlohmann::ordered_json after_epoch(std::int64_t epoch) override;
  TaskState state() const override;
  void restore(const nlohmann::json& state, const TensorFile& file) override;
  nlohmann::json description() const override;
  std::optional<std::int64_t> guide_start() const override { return 0; }
  std::string guide_reason() const override { return "hpm masks from the first epoch on"; }

 private:
  HpmOptions options_;
  MaskContext context_;
  std::int64_t n_visible_;
  LossPredictor predictor_;
  Teacher<Mae> teacher_;
  Teacher<LossPredictor> predictor_teacher_;
  Learner learner_;
  std::int64_t epoch_ = 0;  // of the last plan
  EpochMeans told_;
};

}  // namespace sgmae
