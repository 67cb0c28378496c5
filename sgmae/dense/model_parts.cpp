#include "sgmae/dense/model_parts.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace sgmae {
namespace {

constexpr std::pair<std::string_view, std::string_view> parts[] = {
    {"backbone.simfp_", "pyramid"},
    {"proposal_generator.", "proposal network"},
    {"roi_heads.box_", "box head"},
    {"roi_heads.mask_", "mask head"},
    {"fpn", "neck"},
    {"decode_head.", "decode head"},
    {"auxiliary_head.", "auxiliary head"},
    {"fc_norm", "head"},
    {"head", "head"},
    {"projector.", "projector"},
    {"predictor.", "predictor"},
    {"momentum.", "key network"},
    {"", "encoder"}};

}  // namespace

std::vector<ModelPart> parts_of(const std::vector<Parameter>& parameters) {
  std::vector<ModelPart> result;
  for (const Parameter& parameter : parameters) {
    const auto* const part = std::find_if(std::begin(parts), std::end(parts), [&](const auto& p) {
      return parameter.name.starts_with(p.first);
    });
    if (result.empty() || result.back().name != part->second)
      result.push_back({std::string(part->second)});
    result.back().parameters += parameter.value.numel();
  }
  return result;
}

}  // namespace sgmae
