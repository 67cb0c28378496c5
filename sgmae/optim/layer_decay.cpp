#include "sgmae/optim/layer_decay.h"

#include <cmath>

namespace sgmae {

std::int64_t layer_of(const std::string& parameter, std::int64_t depth) {
  const std::string blocks = "blocks.";
  if (parameter.starts_with(blocks)) return 1 + std::stoll(parameter.substr(blocks.size()));
  const bool first = parameter == "cls_token" || parameter == "pos_embed" ||
                     parameter == "reg_token" || parameter.starts_with("patch_embed.");
  return first ? 0 : depth + 1;
}

std::vector<ParameterRule> layer_decay_rules(const std::vector<Parameter>& parameters,
                                             std::int64_t depth, double decay) {
  std::vector<ParameterRule> rules;
  for (const Parameter& parameter : parameters) {
    const std::int64_t behind = depth + 1 - layer_of(parameter.name, depth);
    const bool exempt = parameter.name == "cls_token" || parameter.name == "pos_embed" ||
                        parameter.name.ends_with(".relative_position_bias_table");
    rules.push_back(
        {std::pow(decay, static_cast<double>(behind)), parameter.value.dim() > 1 && !exempt});
  }
  return rules;
}

}  // namespace sgmae
