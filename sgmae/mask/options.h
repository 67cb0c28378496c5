// Options of self-guided masking (paper, section 4; method.md of the docs says why each default).
// No torch here.
#pragma once

#include <cstdint>

#include "sgmae/base/options.h"
#include "sgmae/ncut/options.h"

namespace sgmae {

enum class GuidePart { encoder, decoder };
enum class GuideFeatures { attention_out, block_out, key };
enum class GuideTarget {
  object,
  background,
  alternate
};  // alternate: object, background, … by epoch
enum class HintStrategy { random, similarity, none };
enum class HintDecay { none, linear, cosine, quadratic };
enum class MaskSource { stored, online };

// Which features of the model make the clusters.
struct GuideOptions {
  GuidePart part = GuidePart::encoder;
  std::int64_t layer = -2;  // block, from 0; negative: from the end (-2: the second-last, "Enc 11")
  GuideFeatures features = GuideFeatures::attention_out;
  GuideCenter center = GuideCenter::position;
  ObjectRule object = ObjectRule::eigenvector;
  NcutOptions ncut = {};
  // A decoder layer is looked at under random masks ("Dec 8" of the paper's ablation):
  double mask_ratio = 0.75;
  std::uint64_t seed = 0;
};

// guide_layer, guide_part, guide_features, guide_center and guide_object. The last two also on
// their own, for who chooses the features otherwise.
void declare_guide(Options& options, GuideOptions& guide);
void declare_guide_center(Options& options, GuideCenter& center);
void declare_guide_object(Options& options, ObjectRule& object);

struct HintOptions {
  HintStrategy strategy = HintStrategy::random;
  double ratio = 0.05;  // of all patches, when guidance starts
  HintDecay decay = HintDecay::quadratic;
  std::int64_t floor = 1;  // tokens that stay to the end
};

}  // namespace sgmae
