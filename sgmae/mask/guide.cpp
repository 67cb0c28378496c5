#include "sgmae/mask/guide.h"

#include <ATen/TensorOperators.h>

#include <limits>
#include <numeric>

#include "sgmae/base/error.h"
#include "sgmae/base/json.h"
#include "sgmae/base/log.h"
#include "sgmae/mask/patch_error.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/ncut/graph.h"
#include "sgmae/ncut/object_side.h"
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

// `index`, or 0, 1, … where it is empty.
std::vector<std::int64_t> positions(const std::vector<std::int64_t>& index, std::int64_t images) {
  if (!index.empty()) {
    SGMAE_ASSERT(static_cast<std::int64_t>(index.size()) == images);
    return index;
  }
  std::vector<std::int64_t> counted(static_cast<std::size_t>(images));
  std::iota(counted.begin(), counted.end(), std::int64_t{0});
  return counted;
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
  Taps taps({tap}, pixels.device());
  encoder.encode(pixels, &taps, /*taps_only=*/true);
  return taps[tap].slice(1, encoder.config().prefix_tokens()).to(at::kFloat);
}

at::Tensor guide_features(const Mae& model, const at::Tensor& pixels, const GuideOptions& options,
                          const std::vector<std::int64_t>& index) {
  if (options.part == GuidePart::encoder) return guide_features(model.encoder(), pixels, options);
  const std::string tap = guide_tap(model.config(), options);
  Taps taps({tap}, pixels.device());
  const std::int64_t n = model.config().n_patches();
  model.forward(pixels,
                random_plan(positions(index, pixels.size(0)), n,
                            visible_count(n, options.mask_ratio), options.seed, 0),
                &taps);
  return taps[tap].slice(1, 1).to(at::kFloat);
}

at::Tensor object_evidence(const Mae& model, const at::Tensor& pixels, const GuideOptions& options,
                           const std::vector<std::int64_t>& index) {
  if (asks_for_error(options.object))
    return patch_errors(model, pixels, positions(index, pixels.size(0)), options.mask_ratio,
                        options.seed);
  return object_evidence(model.encoder(), pixels, options);
}

at::Tensor object_evidence(const Encoder& encoder, const at::Tensor& pixels,
                           const GuideOptions& options) {
  check(!asks_for_error(options.object), ExitCode::usage,
        "guide_object hardest and error ask for the model's own reconstruction error, and this "
        "model has no decoder; choose another, as --guide paper does");
  if (options.object != ObjectRule::variance) return {};
  return patch_variance(pixels, encoder.config().patch_size).add(1e-3).log();
}

void take_object_side(Bipartition& cut, const at::Tensor& similarity, std::int64_t columns,
                      const GuideOptions& options, const at::Tensor& evidence) {
  switch (options.object) {
    case ObjectRule::hardest:
    case ObjectRule::eigenvector:
      break;
    case ObjectRule::inside:
      take_higher_side(cut, inner_patches(similarity.size(1), columns).unsqueeze(0));
      break;
    case ObjectRule::smaller:
      take_smaller_side(cut);
      break;
    case ObjectRule::degree:
      take_higher_side(cut, negative_degree(similarity, options.ncut));
      break;
    case ObjectRule::error:
    case ObjectRule::variance:
      take_higher_side(cut, evidence);
      break;
  }
}

ObjectRule usable_rule(ObjectRule asked, bool decoder, const std::string& model) {
  if (decoder || !asks_for_error(asked)) return asked;
  warn_once(str(model, " has no decoder, which guide_object ", to_string(asked),
                " asks for; its object is that of guide_object eigenvector"));
  return ObjectRule::eigenvector;
}

Guide guide_to_hardest(const at::Tensor& features, const at::Tensor& errors) {
  Guide guide;
  guide.features = features;
  guide.relevance = relevance(features, hardest_quarter(errors)).to(at::kCPU);
  const at::Tensor spread = guide.relevance.amax(1) - guide.relevance.amin(1);
  // Where all patches are of one kind, none is more relevant than another.
  const at::Tensor usable = guide.relevance.isfinite().all(1).logical_and(spread >= 1e-6);
  for (std::int64_t image = 0; image < usable.size(0); ++image)
    guide.degenerate.push_back(!usable.data_ptr<bool>()[image]);
  guide.relevance.masked_fill_(usable.logical_not().unsqueeze(1),
                               std::numeric_limits<double>::quiet_NaN());
  guide.object_side =  // of NaN none
      (guide.relevance >= guide.relevance.mean(1, /*keepdim=*/true)).to(at::kByte);
  return guide;
}

Guide guide_from_features(const at::Tensor& features, std::int64_t columns,
                          const GuideOptions& options, const at::Tensor& position_mean,
                          const at::Tensor& evidence) {
  const at::Tensor centered = center_features(features, options.center, position_mean);
  if (options.object == ObjectRule::hardest) return guide_to_hardest(centered, evidence);
  Guide guide;
  guide.features = centered;
  const at::Tensor weights = similarity(centered);
  Bipartition cut = bipartition(weights, options.ncut);
  take_object_side(cut, weights, columns, options, evidence);
  guide.relevance = relevance(centered, cut.object_side).to(at::kCPU);
  guide.eigenvector = cut.eigenvector;
  guide.object_side = cut.object_side;
  guide.degenerate = std::move(cut.degenerate);
  guide.exact_solves = cut.exact_solves;
  return guide;
}

// Pixels go to the model first, so that features and predictions, which are large, stay there.
Guide make_guide(const Mae& model, const at::Tensor& given_pixels, const GuideOptions& options,
                 const at::Tensor& position_mean, const std::vector<std::int64_t>& index) {
  const at::Tensor pixels = given_pixels.to(model.encoder().device(), /*non_blocking=*/true);
  return guide_from_features(guide_features(model, pixels, options, index),
                             model.config().grid_width(), options, position_mean,
                             object_evidence(model, pixels, options, index));
}

Guide make_guide(const Encoder& encoder, const at::Tensor& given_pixels,
                 const GuideOptions& options, const at::Tensor& position_mean) {
  const at::Tensor pixels = given_pixels.to(encoder.device(), /*non_blocking=*/true);
  return guide_from_features(guide_features(encoder, pixels, options),
                             encoder.config().grid_width(), options, position_mean,
                             object_evidence(encoder, pixels, options));
}

}  // namespace sgmae
