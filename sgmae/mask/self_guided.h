// Self-guided masking over a run (paper, section 4): the epoch in which guidance begins, the passes
// that make relevance maps, and the plans made from them.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/mask/guided_planner.h"
#include "sgmae/mask/relevance_pass.h"
#include "sgmae/mask/stored_maps.h"
#include "sgmae/mask/strategy.h"

namespace sgmae {

// When guidance begins: after `epoch` epochs, or where the exploitation rate says so.
struct GuideStart {
  bool automatic = false;
  std::int64_t epoch = 0;
};

struct SelfGuidedOptions : MaskStrategyOptions {
  std::string guide_start;  // "": epochs / 8; a number of epochs; or "auto"
  GuideTarget guide_target = GuideTarget::object;
  GuideOptions guide;  // guide_part, _layer, _features, _center, _object
  HintOptions hints;   // hint_ratio, hint_strategy, hint_decay, hint_floor
  MaskSource mask_source = MaskSource::stored;
  std::int64_t mask_refresh_epochs = 0;  // 0: maps are made once

  // Of a run of `epochs`. Throws Error(usage) for what is neither an epoch nor "auto".
  GuideStart start(std::int64_t epochs) const;

  std::unique_ptr<MaskStrategyOptions> clone() const override;
  void declare(Options& options) override;
  void check(bool probed) const override;
  std::int64_t random_epochs(std::int64_t epochs) const override;
  MaskCost cost(const MaeConfig& model, std::int64_t n_visible, std::int64_t epochs) const override;
  std::unique_ptr<MaskStrategy> make(const MaskContext& context) const override;
};

class SelfGuided : public MaskStrategy {
 public:
  // Throws Error(usage) for a layer that does not exist, hints that do not fit, and guidance by a
  // network that is not trained.
  SelfGuided(const SelfGuidedOptions& options, const MaskContext& context);

  MaskPlan plan(const Batch& batch, std::int64_t epoch) override;

  // Starts guidance or renews the maps where it is time, and then wants the weights saved that made
  // them. Losses do not compare where masks are of another kind than in the epoch before: start,
  // renewed maps, object and background by turns.
  EpochStart before_epoch(std::int64_t epoch) override;
  nlohmann::ordered_json after_epoch(std::int64_t epoch) override;

  // restore() opens the maps again; where they are lost it makes them from the checkpoint of the
  // same epoch, and throws Error(checkpoint) when that is lost too.
  TaskState state() const override;
  void restore(const nlohmann::json& state, const TensorFile& file) override;

  // The weights that made the present maps stay, as do maps that a checkpoint at the beginning of,
  // or inside, an epoch needs to go on from it.
  bool needs_checkpoint(const CheckpointName& name) const override;
  void checkpoints_left(const std::vector<CheckpointName>& left) override;

  nlohmann::json description() const override;
  at::Tensor position_mean() const override { return position_mean_; }  // undefined where not used
  std::optional<std::int64_t> guide_start() const override { return start_; }
  std::string guide_reason() const override { return reason_; }
  // The epoch whose beginning weights made the present maps.
  std::optional<std::int64_t> maps_epoch() const { return maps_.epoch(); }

 private:
  void decide_start(std::int64_t epoch);
  // StoredMaps::Make, of position means too.
  std::string make_maps(const Mae& model, const std::filesystem::path& path, const MapInfo& info);
  void begin_planning();   // from the present maps or the model
  bool is_online() const;  // guidance has begun, from the present model
  void report_online();
  GuidedPlanner fresh_planner() const;
  std::string looks_at() const;  // what of the model makes masks, in words

  SelfGuidedOptions options_;
  MaskContext context_;
  GuideOptions guide_;  // as `make_guide` takes it
  GuidedPlanner planner_;

  std::optional<std::int64_t> start_;  // epoch in which guidance began
  std::string reason_;                 // why it began then
  StoredMaps maps_;                    // with mask_source online, position means alone
  at::Tensor position_mean_;           // [N, D]
  nlohmann::json pass_;                // what the last pass found
};

}  // namespace sgmae
