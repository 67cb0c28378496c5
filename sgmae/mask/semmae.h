// Semantic-guided masking (Li et al., SemMAE, NeurIPS 2022): the image is cut into parts; at first
// some patches of every part are hidden, in the end whole parts.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>

#include "sgmae/base/rng.h"
#include "sgmae/mask/given_maps.h"
#include "sgmae/mask/guide.h"
#include "sgmae/mask/stored_maps.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/train/epoch_means.h"

namespace sgmae {

struct SemMaeOptions : MaskStrategyOptions {
  std::int64_t parts = 7;    // at most, of an image; as many channels the published parts have
  std::string part_file;     // GivenMaps; empty: the model's own normalised cuts
  std::int64_t start = -1;   // epoch, from 0; -1: an eighth of the run, and 0 with a part_file
  std::int64_t refresh = 0;  // epochs between new parts; 0: made once

  std::unique_ptr<MaskStrategyOptions> clone() const override;
  void declare(Options& options) override;
  void check(bool probed) const override;
  std::int64_t random_epochs(std::int64_t epochs) const override;
  MaskCost cost(const MaeConfig& model, std::int64_t n_visible, std::int64_t epochs) const override;
  std::unique_ptr<MaskStrategy> make(const MaskContext& context) const override;

  std::int64_t start_of(std::int64_t epochs) const;
};

// The parts of images, [B, N] fp32 on the CPU, labels from 0: recursive_ncut of the features that
// `guide` means. pixels [B, C, H, W].
at::Tensor find_parts(const Mae& model, const at::Tensor& pixels, const GuideOptions& guide,
                      std::int64_t parts);

// Writes 1 for patches to hide, else 0. Of each part of c patches of `label` [N], `intra` k1 +
// (1 - intra) k2, rounded, are drawn: k1 = mask_ratio * c, rounded, so that every part shows a
// share; k2 fills up whole parts, one after another as drawn, until mask_ratio * N are used.
void hide_parts(std::span<const float> label, double mask_ratio, double intra, Rng& rng,
                std::span<float> hidden);

class SemMae : public MaskStrategy {
 public:
  // Throws Error(usage) where nothing stays visible or nothing is masked, and what GivenMaps
  // throws.
  SemMae(const SemMaeOptions& options, const MaskContext& context);

  // Weight of the first kind of mask: 1 - ((epoch - start + 1) / (epochs - start))^2.
  double intra(std::int64_t epoch) const;

  MaskPlan plan(const Batch& batch, std::int64_t epoch) override;
  // Makes parts where it is time.
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
  bool has_parts(std::int64_t epoch) const;

  MaskContext context_;
  std::int64_t start_, refresh_, n_visible_;
  std::optional<GivenMaps> given_;
  StoredMaps made_;  // where none are given
  EpochMeans told_;
};

}  // namespace sgmae
