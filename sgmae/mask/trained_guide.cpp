#include "sgmae/mask/trained_guide.h"

#include <utility>
#include <vector>

#include "sgmae/base/log.h"
#include "sgmae/mask/informed.h"
#include "sgmae/mask/informed_plan.h"

namespace sgmae {

GuideOptions trained_guide(const OpenedModel& model,
                           const std::map<std::string, std::string>& given) {
  const ModelInfo& info = model.info;
  GuideOptions guide;
  // Files of versions before there was a choice say each option on its own.
  if (info.guide.is_object() && !info.guide.contains("guide"))
    guide = guide_options(GuideChoice::paper);
  Options declared;
  declare_guide(declared, guide);
  std::vector<std::string> names;
  for (const OptionInfo& option : declared.all()) names.push_back(option.name);
  for (const std::string& name : names) {
    if (!info.guide.contains(name)) continue;
    const nlohmann::json& trained = info.guide[name];
    declared.set(name, trained.is_string() ? trained.get<std::string>() : trained.dump(),
                 "the checkpoint");
  }
  bool chosen = false;
  for (const auto& [name, asked] : given) {  // in order: what `guide` stands for comes behind it
    if (asked.empty()) continue;
    declared.set(name, asked, "--" + name);
    chosen = chosen || name == "guide" || name == "guide_object";
  }
  if (!chosen) guide.object = usable_rule(guide.object, model.mae(), "this model");
  if (guide.center != GuideCenter::position) return guide;
  const auto taps = [&](const auto& config) {
    return std::pair(guide_tap(config, guide), position_mean_tap(info, config));
  };
  const auto [here, measured] =
      model.mae() ? taps(model.mae()->config()) : taps(model.encoder().config());
  if (!info.position_mean.defined())
    warn(
        "this checkpoint has no position means, which its own masks did not need; using "
        "--guide_center none");
  else if (here != measured)
    warn("this checkpoint's position means are of ", measured.empty() ? "an unknown tap" : measured,
         ", not of ", here, "; using --guide_center none");
  else
    return guide;
  guide.center = GuideCenter::none;
  return guide;
}

GuidedMasks guided_masks(const OpenedModel& model, const at::Tensor& pixels,
                         const GuideOptions& options, double mask_ratio, double hint_ratio) {
  const at::Tensor& position_mean = model.info.position_mean;
  GuidedMasks masks;
  masks.guide = model.mae() ? make_guide(*model.mae(), pixels, options, position_mean)
                            : make_guide(model.encoder(), pixels, options, position_mean);
  const HintOptions hints{.ratio = hint_ratio};
  const std::int64_t n = model.encoder().config().n_patches();
  const std::int64_t n_visible = visible_count(n, mask_ratio);
  check_hints(hints, n, n_visible);
  masks.n_hints = hint_count(hints, n, 0, 0, 1);
  masks.plan = informed_plan(masks.guide, n_visible, masks.n_hints);
  return masks;
}

}  // namespace sgmae
