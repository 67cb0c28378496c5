#include "sgmae/mask/options.h"

namespace sgmae {

GuideOptions guide_options(GuideChoice choice) {
  GuideOptions options;
  options.choice = choice;
  if (choice == GuideChoice::paper) {
    options.layer = -2;
    options.object = ObjectRule::eigenvector;
  }
  return options;
}

const Options::Names<ObjectRule>& object_rules() {
  static const Options::Names<ObjectRule> rules{
      {"hardest", ObjectRule::hardest},  {"eigenvector", ObjectRule::eigenvector},
      {"inside", ObjectRule::inside},    {"smaller", ObjectRule::smaller},
      {"degree", ObjectRule::degree},    {"error", ObjectRule::error},
      {"variance", ObjectRule::variance}};
  return rules;
}

std::string to_string(ObjectRule object) {
  for (const auto& [name, rule] : object_rules())
    if (rule == object) return name;
  return {};
}

std::optional<ObjectRule> object_rule(const std::string& name) {
  for (const auto& [known, rule] : object_rules())
    if (name == known) return rule;
  return std::nullopt;
}

bool asks_for_error(ObjectRule object) {
  return object == ObjectRule::hardest || object == ObjectRule::error;
}

void declare_guide(Options& o, GuideOptions& guide) {
  OptionInfo& choice = o.add(
      "guide", guide.choice, {{"hardest", GuideChoice::hardest}, {"paper", GuideChoice::paper}},
      "all of the following guide_ options in one word: hardest, their defaults; paper, the "
      "paper's letter. What is given after it counts");
  choice.assign = [&guide, assign = choice.assign](const std::string& text) {
    assign(text);
    const GuideOptions before = guide;
    guide = guide_options(guide.choice);
    guide.ncut = before.ncut;
    guide.mask_ratio = before.mask_ratio;
    guide.seed = before.seed;
  };
  o.add("guide_layer", guide.layer,
        "block whose tokens are compared; negative: from the end, -2 second last (paper)");
  o.add("guide_part", guide.part,
        {{"encoder", GuidePart::encoder}, {"decoder", GuidePart::decoder}}, "where that block is");
  o.add("guide_features", guide.features,
        {{"attention_out", GuideFeatures::attention_out},
         {"block_out", GuideFeatures::block_out},
         {"key", GuideFeatures::key}},
        "what is compared: attention output before its projection (paper, Eq. 2), block output, "
        "keys");
  declare_guide_center(o, guide.center);
  declare_guide_object(o, guide.object);
}

void declare_guide_center(Options& o, GuideCenter& center) {
  o.add("guide_center", center,
        {{"none", GuideCenter::none},
         {"mean", GuideCenter::mean},
         {"position", GuideCenter::position}},
        "what is subtracted first: nothing (paper), the image's mean, the data set's mean per "
        "position");
}

void declare_guide_object(Options& o, ObjectRule& object) {
  o.add("guide_object", object, object_rules(),
        "what is the object: the patches that the model reconstructs worst, or a side of the "
        "normalised cut: the one with the largest |y1| (paper), lying less along the border, "
        "smaller, of lower degree, reconstructed worse, of more varied pixels");
}

}  // namespace sgmae
