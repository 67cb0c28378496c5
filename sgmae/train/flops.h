// Arithmetic of a training step, for the TFLOP/s that the console shows.
#pragma once

#include <cstdint>

#include "sgmae/nn/config.h"

namespace sgmae {

// Floating-point operations of one forward and backward pass over one image with `n_visible`
// visible patches and `n_thrown` that are left out: two per multiply-add, backward counted as twice
// forward, matrix products only. The model's count, as published; what our step leaves out, since
// no loss depends on it, is in it.
double training_flop_per_image(const MaeConfig& config, std::int64_t n_visible,
                               std::int64_t n_thrown = 0);

// Of one forward pass of the decoder over the tokens of all patches, from decoder_embed on.
double decoder_flop_per_image(const MaeConfig& config);

// training_flop_per_image() of a classifier on whole images.
double training_flop_per_image(const VitConfig& config);

}  // namespace sgmae
