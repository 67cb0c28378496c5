// Stochastic depth (Huang et al. 2016) per image, as fine-tuning uses it: the rate rises linearly
// from 0 at the first block to its full value at the last, and surviving branches are divided by
// their probability to survive.
#pragma once

#include <cstdint>
#include <vector>

#include "sgmae/nn/block.h"

namespace sgmae {

// For each of `depth` blocks what the branches of the images `index` [B] are multiplied by. An
// image's draws depend on (seed, epoch, index) alone. Empty for rate 0. `rate` is in [0, 1). Drawn
// on the CPU and brought to `device` together.
std::vector<DropPath> draw_drop_path(std::uint64_t seed, std::uint64_t epoch,
                                     const std::vector<std::int64_t>& index, std::int64_t depth,
                                     double rate, at::Device device = at::kCPU);

}  // namespace sgmae
