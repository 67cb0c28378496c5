// Batch norm (Ioffe and Szegedy 2015) over all processes that train together.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "sgmae/nn/parameter.h"

namespace sgmae {

// What evaluation normalises by: means over training steps.
struct RunningStatistics {
  std::string name;      // of the layer: NAME.running_mean …
  at::Tensor mean, var;  // [C] fp32
  at::Tensor batches;    // 0-dim int64: how many
};

// y = (x - mean) / sqrt(var + 1e-5), times weight plus bias where it has these, then perhaps ReLU.
// Where gradients are recorded (at::GradMode), by mean and variance over the batches of all
// processes, which the running statistics then follow by a tenth (variance unbiased), as PyTorch's;
// that is a collective, and so is its backward pass. Else by the running statistics.
struct BatchNorm {
  Parameter *weight = nullptr, *bias = nullptr;  // [C]; null for none
  RunningStatistics* running = nullptr;

  // x [B, C, H, W] -> the same, in its type; computed in fp32. Throws Error(usage) where all
  // processes together have a single value of a channel, which leaves nothing of it.
  at::Tensor forward(const at::Tensor& x, bool relu) const;
};

}  // namespace sgmae
