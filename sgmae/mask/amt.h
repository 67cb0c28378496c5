// Attention-driven masking and throwing (Liu, Gui, Luo, AMT, AAAI 2023): from some epoch on,
// patches to which the class token attends more are masked more often, and some are thrown, so that
// neither encoder nor decoder computes them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "sgmae/base/rng.h"
#include "sgmae/mask/stored_maps.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/train/epoch_means.h"

namespace sgmae {

// To what the class token attends in the last block: of every head its attention to the patches,
// from 0 to 1 between its smallest and its largest, averaged over heads. [B, N] fp32, on the
// model's device. pixels [B, C, H, W].
at::Tensor scaled_class_attention(const Mae& model, const at::Tensor& pixels);

// Writes an order of patches drawn one after another in proportion to `weights` [N] (at least 1e-6
// each), without putting back: the first drawn are masked, the next thrown, the rest visible. In
// `order` [N] as in MaskPlan: visible, masked, thrown.
void weighted_order(std::span<const float> weights, std::int64_t n_visible, std::int64_t n_thrown,
                    Rng rng, std::span<std::int64_t> order);

struct AmtOptions : MaskStrategyOptions {
  std::int64_t start = -1;    // epoch, from 0; -1: a tenth of the run (40 of the published 400)
  std::int64_t refresh = -1;  // epochs between new maps; -1: a tenth of the run; 0: made once
  double throw_ratio = 0;     // share of all patches; with mask_ratio 0.45 the authors throw 0.4

  std::unique_ptr<MaskStrategyOptions> clone() const override;
  void declare(Options& options) override;
  void check(bool probed) const override;
  std::int64_t random_epochs(std::int64_t epochs) const override;
  double thrown_ratio() const override { return throw_ratio; }
  MaskCost cost(const MaeConfig& model, std::int64_t n_visible, std::int64_t epochs) const override;
  std::unique_ptr<MaskStrategy> make(const MaskContext& context) const override;

  std::int64_t start_of(std::int64_t epochs) const { return start < 0 ? epochs / 10 : start; }
  std::int64_t refresh_of(std::int64_t epochs) const {
    return refresh < 0 ? std::max<std::int64_t>(epochs / 10, 1) : refresh;
  }
};

class Amt : public MaskStrategy {
 public:
  // Throws Error(usage) where nothing stays visible or nothing is masked.
  Amt(const AmtOptions& options, const MaskContext& context);

  MaskPlan plan(const Batch& batch, std::int64_t epoch) override;
  // Makes maps where it is time.
  EpochStart before_epoch(std::int64_t epoch) override;
  nlohmann::ordered_json after_epoch(std::int64_t epoch) override;
  TaskState state() const override;
  void restore(const nlohmann::json& state, const TensorFile& file) override;
  bool needs_checkpoint(const CheckpointName& name) const override;
  void checkpoints_left(const std::vector<CheckpointName>& left) override;
  nlohmann::json description() const override;
  std::optional<std::int64_t> guide_start() const override;
  std::string guide_reason() const override;

 private:
  MaskContext context_;
  std::int64_t start_, refresh_;
  PatchCounts counts_;
  StoredMaps maps_;
  EpochMeans attention_;
};

}  // namespace sgmae
