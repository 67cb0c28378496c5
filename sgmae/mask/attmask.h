// Attention-guided masking (Kakogeorgiou et al., AttMask, ECCV 2022): a teacher looks at the whole
// image in every step, and the patches that its class token attends to most are masked.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>

#include "sgmae/base/rng.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/mask/teacher.h"
#include "sgmae/train/epoch_means.h"

namespace sgmae {

enum class AttMaskTarget { high, low, hint };
enum class AttMaskTeacher { ema, present };

struct AttMaskOptions : MaskStrategyOptions {
  AttMaskTarget target = AttMaskTarget::high;
  double show = 0.1;  // of the most attended patches are hints drawn, as this share of the masked
  AttMaskTeacher teacher = AttMaskTeacher::ema;
  double momentum = 0.996;  // at first; grows to 1 at the end of the run
  std::int64_t start = 0;   // epoch, from 0

  std::unique_ptr<MaskStrategyOptions> clone() const override;
  void declare(Options& options) override;
  void check(bool probed) const override;
  std::int64_t random_epochs(std::int64_t epochs) const override;
  MaskCost cost(const MaeConfig& model, std::int64_t n_visible, std::int64_t epochs) const override;
  std::unique_ptr<MaskStrategy> make(const MaskContext& context) const override;
};

// Makes n_hints of the last n_top patches of `order` [N] visible, drawn uniformly: they come behind
// the first n_visible - n_hints, and all others keep their order, so that the last of the visible
// ones are masked in their place.
void show_hints(std::span<std::int64_t> order, std::int64_t n_visible, std::int64_t n_hints,
                std::int64_t n_top, Rng rng);

class AttMask : public MaskStrategy {
 public:
  // Throws Error(usage) where nothing stays visible, nothing is masked, or hints are more than what
  // stays visible.
  AttMask(const AttMaskOptions& options, const MaskContext& context);

  MaskPlan plan(const Batch& batch, std::int64_t epoch) override;
  void after_step(const StepDone& step) override;
  EpochStart before_epoch(std::int64_t epoch) override;
  nlohmann::ordered_json after_epoch(std::int64_t epoch) override;
  TaskState state() const override;
  void restore(const nlohmann::json& state, const TensorFile& file) override;
  nlohmann::json description() const override;
  std::optional<std::int64_t> guide_start() const override;
  std::string guide_reason() const override;

 private:
  const Mae& looks();  // who says what is attended to

  AttMaskOptions options_;
  MaskContext context_;
  std::int64_t n_visible_, n_hints_ = 0, n_top_ = 0;
  std::optional<Teacher<Mae>> teacher_;  // since the first masks that are informed
  EpochMeans attention_;
};

}  // namespace sgmae
