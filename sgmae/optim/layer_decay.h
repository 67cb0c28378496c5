// Layer-wise learning rates of fine-tuning (Clark et al. 2020; BEiT and MAE's fine-tuning).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sgmae/nn/parameter.h"
#include "sgmae/optim/adamw.h"

namespace sgmae {

// 0: tokens, positions and patch embedding; i + 1: block i of `depth`; depth + 1: all behind them.
std::int64_t layer_of(const std::string& parameter, std::int64_t depth);

// For each parameter the scale decay^(depth + 1 - layer), and MAE's exemptions from weight decay:
// 1-D tensors, cls_token and pos_embed; and BEiT's, its tables of biases.
std::vector<ParameterRule> layer_decay_rules(const std::vector<Parameter>& parameters,
                                             std::int64_t depth, double decay);

}  // namespace sgmae
