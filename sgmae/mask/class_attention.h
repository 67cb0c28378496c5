// What the class token attends to: the signal of AMT and AttMask.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "sgmae/nn/mae.h"

namespace sgmae {

// The tap of the last block's attention.
std::string class_attention_tap(const MaeConfig& config);

// The last block's attention from the class token to the patches, [B, heads, N] fp32 on the model's
// device, of pixels [B, C, H, W] seen whole. A row sums to 1 with what goes to the class token
// itself.
at::Tensor class_attention_of_heads(const Mae& model, const at::Tensor& pixels);

// What that asks, as a share of a whole pass of the encoder.
double class_attention_share(const MaeConfig& config);

}  // namespace sgmae
