#include "sgmae/mask/mask_file.h"

#include <cmath>

#include "sgmae/base/error.h"
#include "sgmae/mask/guided_planner.h"
#include "sgmae/mask/plan_each.h"
#include "sgmae/mask/relevance_map.h"

namespace sgmae {

std::unique_ptr<MaskStrategyOptions> MaskFileOptions::clone() const {
  return std::make_unique<MaskFileOptions>(*this);
}

void MaskFileOptions::declare(Options& o) {
  o.add("mask_file", file,
        "what to hide of every image: .npy or .safetensors, [images, rows, columns], relevance or "
        "mask (1: hide)")
      .may_change_on_resume();  // its content may not
  o.add("mask_file_hints", hints,
        "hint patches, drawn from those to be masked, as a share of all patches");
}

void MaskFileOptions::check(bool) const {
  need(!file.empty(), "mask_strategy file needs maps; give them as --mask_file FILE");
  need(hints >= 0 && hints < 1, str("mask_file_hints must be in 0 .. 1, but is ", hints));
}

std::unique_ptr<MaskStrategy> MaskFileOptions::make(const MaskContext& context) const {
  return std::make_unique<MaskFile>(*this, context);
}

MaskFile::MaskFile(const MaskFileOptions& options, const MaskContext& context)
    : context_(context),
      n_visible_(some_visible(context.model.config().n_patches(), context.mask_ratio)),
      n_hints_(
          std::llround(options.hints * static_cast<double>(context.model.config().n_patches()))),
      maps_(options.file, "mask_file", GivenKind::hiding, context),
      told_({"mask_file_random"}) {
  check(n_hints_ <= n_visible_, ExitCode::usage, "mask_file_hints ", options.hints, " makes ",
        n_hints_, " hints, but only ", n_visible_,
        " patches stay visible; choose fewer hints or a lower mask_ratio");
}

MaskPlan MaskFile::plan(const Batch& batch, std::int64_t epoch) {
  const MaeConfig& model = context_.model.config();
  const at::Tensor relevance = sample_maps([&](std::int64_t index) { return maps_.map(index); },
                                           model.grid_height(), model.grid_width(), batch);
  told_.add(epoch, {relevance.isfinite().all(1).logical_not().to(at::kFloat).mean()});
  return informed_plan(
      relevance, batch.index,
      {.n_visible = n_visible_, .n_hints = n_hints_, .seed = context_.seed, .epoch = epoch});
}

// The share of images without a map.
nlohmann::ordered_json MaskFile::after_epoch(std::int64_t) {
  return told_.means();
}

TaskState MaskFile::state() const {
  nlohmann::json state{{"told", told_.state()}};
  maps_.save(state);
  return {state, {}};
}

void MaskFile::restore(const nlohmann::json& state, const TensorFile&) {
  maps_.check_same(state);
  if (state.contains("told")) told_.restore(state["told"], at::kCPU);
}

}  // namespace sgmae
