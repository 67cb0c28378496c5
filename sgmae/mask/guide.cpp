#include "sgmae/mask/guide.h"

#include <numeric>

#include "sgmae/base/error.h"
#include "sgmae/base/json.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/ncut/graph.h"
#include "sgmae/ncut/relevance.h"

namespace sgmae {

namespace {

std::string tap_name(const char* part, std::int64_t depth, const GuideOptions& options) {
  check(options.layer >= -depth && options.layer < depth, ExitCode::usage, "guide_layer is ",
        options.layer, ", but the ", part, " has ", depth, " blocks: choose 0 .. ", depth - 1,
        ", or -", depth, " .. -1 to count from the last");
  const std::int64_t layer = options.layer < 0 ? options.layer + depth : options.layer;
  return feature_tap(str(part, ".", layer), options.features);
}

template <class Config>
std::string tap_of_means(const ModelInfo& info, const Config& config) {
  if (const auto said = json_value<std::string>(info.guide, position_mean_tap_key)) return *said;
  GuideOptions guide;
  Options declared;
  declare_guide(declared, guide);
  try {
    for (const char* name : {"guide_layer", "guide_part", "guide_features"}) {
      const nlohmann::json& trained = json_member(info.guide, name);
      if (trained.is_null()) return "";
      declared.set(name, trained.is_string() ? trained.get<std::string>() : trained.dump(), "");
    }
    return guide_tap(config, guide);
  } catch (const Error&) {  // no such options, or no such block in what is left of the model
    return "";
  }
}

}  // namespace

std::string feature_tap(const std::string& block, GuideFeatures features) {
  switch (features) {
    case GuideFeatures::attention_out:
      return block + ".attention_out";
    case GuideFeatures::block_out:
      return block + ".block_out";
    case GuideFeatures::key:
      return block + ".key";
  }
  return {};
}

std::string guide_tap(const MaeConfig& config, const GuideOptions& options) {
  return options.part == GuidePart::encoder ? tap_name("encoder", config.encoder.depth, options)
                                            : tap_name("decoder", config.decoder.depth, options);
}

std::string guide_tap(const VitConfig& config, const GuideOptions& options) {
  check(options.part == GuidePart::encoder, ExitCode::usage,
        "this model has no decoder to take features from; choose an encoder layer");
  return tap_name("encoder", config.size.depth, options);
}

std::string position_mean_tap(const ModelInfo& info, const MaeConfig& config) {
  return tap_of_means(info, config);
}

std::string position_mean_tap(const ModelInfo& info, const VitConfig& config) {
  return tap_of_means(info, config);
}

at::Tensor guide_features(const Encoder& encoder, const at::Tensor& pixels,
                          const GuideOptions& options) {
  const std::string tap = guide_tap(encoder.config(), options);
  Taps taps({tap});
  encoder.encode(pixels, &taps, /*taps_only=*/true);
  return taps[tap].slice(1, encoder.config().prefix_tokens()).to(at::kFloat);
}

at::Tensor guide_features(const Mae& model, const at::Tensor& pixels, const GuideOptions& options,
                          const std::vector<std::int64_t>& index) {
  if (options.part == GuidePart::encoder) return guide_features(model.encoder(), pixels, options);
  const std::string tap = guide_tap(model.config(), options);
  Taps taps({tap});
  std::vector<std::int64_t> position = index;
  if (position.empty()) {
    position.resize(pixels.size(0));
    std::iota(position.begin(), position.end(), std::int64_t{0});
  }
  SGMAE_ASSERT(static_cast<std::int64_t>(position.size()) == pixels.size(0));
  const std::int64_t n = model.config().n_patches();
  model.forward(pixels,
                random_plan(position, n, visible_count(n, options.mask_ratio), options.seed, 0),
                &taps);
  return taps[tap].slice(1, 1).to(at::kFloat);
}

Guide guide_from_features(const at::Tensor& features, std::int64_t columns,
                          const GuideOptions& options, const at::Tensor& position_mean) {
  const at::Tensor centered = center_features(features, options.center, position_mean);
  Guide guide;
  guide.similarity = similarity(centered);
  Bipartition cut = bipartition(guide.similarity, options.ncut);
  if (options.object == ObjectRule::inside) take_inner_side(cut, columns);
  guide.relevance = relevance(centered, cut.object_side);
  guide.eigenvector = cut.eigenvector;
  guide.object_side = cut.object_side;
  guide.degenerate = std::move(cut.degenerate);
  guide.exact_solves = cut.exact_solves;
  return guide;
}

Guide make_guide(const Mae& model, const at::Tensor& pixels, const GuideOptions& options,
                 const at::Tensor& position_mean, const std::vector<std::int64_t>& index) {
  return guide_from_features(guide_features(model, pixels, options, index),
                             model.config().grid_width(), options, position_mean);
}

Guide make_guide(const Encoder& encoder, const at::Tensor& pixels, const GuideOptions& options,
                 const at::Tensor& position_mean) {
  return guide_from_features(guide_features(encoder, pixels, options),
                             encoder.config().grid_width(), options, position_mean);
}

}  // namespace sgmae
