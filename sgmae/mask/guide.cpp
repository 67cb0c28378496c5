#include "sgmae/mask/guide.h"

#include <numeric>

#include "sgmae/base/error.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/ncut/graph.h"
#include "sgmae/ncut/relevance.h"

namespace sgmae {

std::string guide_tap(const MaeConfig& config, const GuideOptions& options) {
  const bool encoder = options.part == GuidePart::encoder;
  const char* const part = encoder ? "encoder" : "decoder";
  const std::int64_t depth = encoder ? config.encoder.depth : config.decoder.depth;
  check(options.layer >= -depth && options.layer < depth, ExitCode::usage, "guide_layer is ",
        options.layer, ", but the ", part, " has ", depth, " blocks: choose 0 .. ", depth - 1,
        ", or -", depth, " .. -1 to count from the last");
  const std::int64_t layer = options.layer < 0 ? options.layer + depth : options.layer;
  const char* feature = "";
  switch (options.features) {
    case GuideFeatures::attention_out:
      feature = "attention_out";
      break;
    case GuideFeatures::block_out:
      feature = "block_out";
      break;
    case GuideFeatures::key:
      feature = "key";
      break;
  }
  return str(part, ".", layer, ".", feature);
}

at::Tensor guide_features(const Mae& model, const at::Tensor& pixels, const GuideOptions& options,
                          const std::vector<std::int64_t>& index) {
  const std::string tap = guide_tap(model.config(), options);
  Taps taps({tap});
  if (options.part == GuidePart::encoder) {
    model.encode(pixels, &taps, /*taps_only=*/true);
  } else {
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
  }
  return taps[tap].slice(1, 1).to(at::kFloat);
}

Guide guide_from_features(const at::Tensor& features, const GuideOptions& options,
                          const at::Tensor& position_mean) {
  const at::Tensor centered = center_features(features, options.center, position_mean);
  Guide guide;
  guide.similarity = similarity(centered);
  Bipartition cut = bipartition(guide.similarity, options.ncut);
  guide.relevance = relevance(centered, cut.object_side);
  guide.eigenvector = cut.eigenvector;
  guide.object_side = cut.object_side;
  guide.degenerate = std::move(cut.degenerate);
  guide.exact_solves = cut.exact_solves;
  return guide;
}

Guide make_guide(const Mae& model, const at::Tensor& pixels, const GuideOptions& options,
                 const at::Tensor& position_mean, const std::vector<std::int64_t>& index) {
  return guide_from_features(guide_features(model, pixels, options, index), options, position_mean);
}

}  // namespace sgmae
