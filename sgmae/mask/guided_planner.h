// Plans of self-guided masks: random before guidance starts, informed by stored maps or by the
// model itself afterwards. When that is, and where maps come from, self_guided.h decides.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "sgmae/mask/guide.h"
#include "sgmae/mask/informed_plan.h"
#include "sgmae/mask/options.h"
#include "sgmae/mask/relevance_map.h"
#include "sgmae/mask/relevance_pass.h"
#include "sgmae/mask/strategy.h"

namespace sgmae {

struct GuidedPlanOptions {
  GuideTarget target = GuideTarget::object;
  HintOptions hints = {};
  double mask_ratio = 0.75;
  std::int64_t epochs = 400;  // of the whole run; hints decay towards its end
  std::uint64_t seed = 0;
};

// Until start() every mask is random (the same masks as RandomMask with that seed). No mask depends
// on what came before: a resumed run calls start() again with the same epoch and the same map file.
class GuidedPlanner {
 public:
  // Throws Error(usage) for options that check_hints refuses.
  GuidedPlanner(const MaeConfig& config, const GuidedPlanOptions& options);

  // From `epoch` on (inclusive) masks come from stored maps. Call again with newer maps to refresh
  // them; `epoch` stays that of the first start, from which hints decay and targets alternate.
  // Throws Error(checkpoint) when the maps have another patch grid.
  void start(std::int64_t epoch, std::shared_ptr<const RelevanceMaps> maps);
  // From `epoch` on masks come from the model's present look at each batch. `model` must outlive
  // this.
  void start(std::int64_t epoch, const Mae& model, const GuideOptions& options,
             const at::Tensor& position_mean = {});

  bool started(std::int64_t epoch) const;
  MaskPlan plan(const Batch& batch, std::int64_t epoch);

  // Masks made at random after the start because their image is degenerate.
  std::int64_t degenerate_count() const { return degenerate_; }

  // Without stored maps: where the object sides of images planned so far lay, on their crops. The
  // caller clears or restores it.
  PositionBias& online_bias() { return online_bias_; }
  const PositionBias& online_bias() const { return online_bias_; }

 private:
  at::Tensor batch_relevance(const Batch& batch);  // [B, N] fp32

  std::int64_t rows_, columns_, n_visible_;
  GuidedPlanOptions options_;
  RandomMask random_;
  std::int64_t start_ = -1;  // not started
  std::shared_ptr<const RelevanceMaps> maps_;
  const Mae* model_ = nullptr;
  GuideOptions guide_;
  at::Tensor position_mean_;
  std::int64_t degenerate_ = 0;
  PositionBias online_bias_;
};

}  // namespace sgmae
