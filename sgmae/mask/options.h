// Options of self-guided masking (paper, section 4; method.md of the docs says why each default).
// No torch here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

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

// All choices of guidance in one word.
enum class GuideChoice {
  hardest,  // what finds objects best where they are known (docs/results/guidance.md)
  paper     // the paper's letter
};

// Where the model finds the object of an image, and which of its features make relevance.
struct GuideOptions {
  GuideChoice choice = GuideChoice::hardest;
  GuidePart part = GuidePart::encoder;
  std::int64_t layer = -1;  // block, from 0; negative: from the end (-2: the second-last, "Enc 11")
  GuideFeatures features = GuideFeatures::attention_out;
  GuideCenter center = GuideCenter::none;
  ObjectRule object = ObjectRule::hardest;
  NcutOptions ncut = {};
  // Of the random masks under which errors are measured, and under which a decoder layer is looked
  // at ("Dec 8" of the paper's ablation):
  double mask_ratio = 0.75;
  std::uint64_t seed = 0;
};

// The options that the word stands for.
GuideOptions guide_options(GuideChoice choice);

const Options::Names<ObjectRule>& object_rules();  // all, by name
std::string to_string(ObjectRule object);
std::optional<ObjectRule> object_rule(const std::string& name);  // none for another name

// Whether the rule asks for the model's own reconstruction error, and so for a decoder.
bool asks_for_error(ObjectRule object);

// guide, which sets what follows, guide_layer, guide_part, guide_features, guide_center and
// guide_object. The last two also on their own, for who chooses the features otherwise.
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
