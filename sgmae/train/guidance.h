// The masking side of a run: random masks, the exploitation rate, the epoch in which guidance
// begins, and the passes that make relevance maps (paper, section 4).
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/analysis/exploitation.h"
#include "sgmae/data/loader.h"
#include "sgmae/mask/relevance_pass.h"
#include "sgmae/mask/self_guided.h"
#include "sgmae/nn/mae.h"
#include "sgmae/train/options.h"
#include "sgmae/train/run_folder.h"

namespace sgmae {

class Guidance {
 public:
  // `loader` is the training loader's; whole images are read with it, squashed. Everything passed
  // by reference must outlive this.
  Guidance(const PretrainOptions& options, const Source& source, const LoaderOptions& loader,
           const Mae& model, const RunFolder& folder);

  // Called before the first step of `epoch`, also of one that begins a second time after a resume.
  // Starts guidance or renews the maps where it is time. True when maps or position means were made
  // now, so that the weights which made them should be saved.
  bool begin_epoch(std::int64_t epoch);

  // True when masks of `epoch` are of another kind than those of the epoch before (start, renewed
  // maps, object and background by turns): losses of the two do not compare.
  bool changes_masks(std::int64_t epoch) const;

  MaskPlan plan(const Batch& batch, std::int64_t epoch);

  // Called after the last step of `epoch`: measures the exploitation rate.
  void end_epoch(std::int64_t epoch);

  // What to log about the epoch that end_epoch() was told of.
  nlohmann::ordered_json log_entries() const;

  bool self_guided() const { return self_guided_ != nullptr; }
  std::optional<std::int64_t> start() const { return start_; }
  const std::string& reason() const { return reason_; }
  // The epoch whose beginning weights made the present maps; they must stay on disk.
  std::optional<std::int64_t> maps_epoch() const { return maps_epoch_; }
  const at::Tensor& position_mean() const { return position_mean_; }  // undefined where not used
  nlohmann::json description() const;  // for ModelInfo::guide; null for random masks

  // Removes stored maps that no checkpoint at the beginning of, or inside, one of `epochs` needs to
  // go on from it.
  void prune_maps(const std::vector<std::int64_t>& epochs) const;

  // State between two steps. restore() opens the maps again; where they are lost it makes them from
  // the checkpoint of the same epoch, and throws Error(checkpoint) when that is lost too.
  nlohmann::json state() const;
  void restore(const nlohmann::json& state, const at::Tensor& position_mean);

 private:
  void make_strategy();
  void decide_start(std::int64_t epoch);
  void make_maps(std::int64_t epoch, const Mae& model);
  void open_maps();
  bool is_online() const;  // guidance has begun, from the present model
  void report_online();
  void measure();
  std::vector<double> masked_share() const;
  NextBatch whole_images(std::vector<std::int64_t> subset) const;
  std::filesystem::path maps_path() const;
  MapInfo maps_info(const std::string& hash) const;

  const PretrainOptions& options_;
  const Source& source_;
  LoaderOptions loader_;
  const Mae& model_;
  RunFolder folder_;

  std::unique_ptr<MaskStrategy> strategy_;
  SelfGuidedMask* self_guided_ = nullptr;  // strategy_, where it is one

  // One entry per epoch, measured after it: shares after each decoder layer.
  std::vector<Exploitation> history_;
  std::optional<std::int64_t> start_;       // epoch in which guidance began
  std::string reason_;                      // why it began then
  std::optional<std::int64_t> maps_epoch_;  // when the present maps (or position means) were made
  std::string maps_hash_;                   // of the weights that made them
  at::Tensor position_mean_;                // [N, D]
  nlohmann::json pass_;                     // what the last pass found
};

}  // namespace sgmae
