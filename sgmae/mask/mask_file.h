// Masks of the user's own: a file says for every image what to hide.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "sgmae/mask/given_maps.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/train/epoch_means.h"

namespace sgmae {

struct MaskFileOptions : MaskStrategyOptions {
  std::string file;  // GivenMaps
  double hints = 0;  // share of all patches, drawn from those to be masked, that stay visible

  std::unique_ptr<MaskStrategyOptions> clone() const override;
  void declare(Options& options) override;
  void check(bool probed) const override;
  std::int64_t random_epochs(std::int64_t) const override { return 0; }
  std::unique_ptr<MaskStrategy> make(const MaskContext& context) const override;
};

// The highest values, seen through crop and flip, are masked, equal ones at random: of a 0/1 map
// its ones first, and always as many as mask_ratio says. An image whose map is not finite
// everywhere gets a random mask.
class MaskFile : public MaskStrategy {
 public:
  // Throws Error(usage) for hints that do not fit, and what GivenMaps throws.
  MaskFile(const MaskFileOptions& options, const MaskContext& context);

  MaskPlan plan(const Batch& batch, std::int64_t epoch) override;
  nlohmann::ordered_json after_epoch(std::int64_t epoch) override;
  TaskState state() const override;
  void restore(const nlohmann::json& state, const TensorFile& file) override;

 private:
  MaskContext context_;
  std::int64_t n_visible_, n_hints_;
  GivenMaps maps_;
  EpochMeans told_;
};

}  // namespace sgmae
