// Which parameters weight decay touches, and the norm of their gradients.
#pragma once

#include <vector>

#include "sgmae/nn/mae.h"

namespace sgmae {

// MAE's rule: biases and 1-D tensors (LayerNorm) are not decayed; cls_token and mask_token, being
// 3-D, are.
bool is_decayed(const Parameter& parameter);

// Euclidean norm over all gradients, 0-dim fp64 where they lie; not finite as soon as one entry is
// not.
at::Tensor gradient_norm(const std::vector<Parameter>& parameters);
at::Tensor gradient_norm(const at::Tensor& gradients);  // of a piece of flat ones

void zero_gradients(std::vector<Parameter>& parameters);

}  // namespace sgmae
