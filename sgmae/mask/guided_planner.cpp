#include "sgmae/mask/guided_planner.h"

#include <vector>

#include "sgmae/base/error.h"

namespace sgmae {

GuidedPlanner::GuidedPlanner(const MaeConfig& config, const GuidedPlanOptions& options)
    : rows_(config.grid_height()),
      columns_(config.grid_width()),
      n_visible_(visible_count(config.n_patches(), options.mask_ratio)),
      options_(options),
      random_(config.n_patches(), options.mask_ratio, options.seed) {
  check_hints(options.hints, config.n_patches(), n_visible_);
}

void GuidedPlanner::start(std::int64_t epoch, std::shared_ptr<const RelevanceMaps> maps) {
  SGMAE_ASSERT(maps != nullptr && epoch >= 0);
  const MapInfo& info = maps->info();
  check(info.rows == rows_ && info.columns == columns_, ExitCode::checkpoint,
        "the relevance maps are for ", info.rows, " x ", info.columns,
        " patches, but the model has ", rows_, " x ", columns_,
        "; delete the map file to have it recomputed");
  start_ = epoch;
  maps_ = std::move(maps);
  model_ = nullptr;
}

void GuidedPlanner::start(std::int64_t epoch, const Mae& model, const GuideOptions& options,
                          const at::Tensor& position_mean) {
  SGMAE_ASSERT(epoch >= 0);
  start_ = epoch;
  maps_ = nullptr;
  model_ = &model;
  guide_ = options;
  position_mean_ = position_mean;
}

bool GuidedPlanner::started(std::int64_t epoch) const {
  return start_ >= 0 && epoch >= start_;
}

at::Tensor GuidedPlanner::batch_relevance(const Batch& batch) {
  if (model_ != nullptr) {
    const Guide guide = make_guide(*model_, batch.pixels, guide_, position_mean_, batch.index);
    online_bias_.add(guide.object_side, guide.degenerate);
    return guide.relevance.to(at::kCPU).contiguous();
  }
  return sample_maps(*maps_, batch);
}

MaskPlan GuidedPlanner::plan(const Batch& batch, std::int64_t epoch) {
  if (!started(epoch)) return random_.plan(batch, epoch);

  const at::Tensor relevance = batch_relevance(batch);
  degenerate_ += batch.size() - relevance.isfinite().all(1).sum().item<std::int64_t>();
  return informed_plan(
      relevance, batch.index,
      {.n_visible = n_visible_,
       .n_hints = hint_count(options_.hints, rows_ * columns_, epoch, start_, options_.epochs),
       .strategy = options_.hints.strategy,
       .target = target_in_epoch(options_.target, epoch, start_),
       .seed = options_.seed,
       .epoch = epoch});
}

}  // namespace sgmae
