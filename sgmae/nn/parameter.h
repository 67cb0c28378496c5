// A tensor of the model under MAE's own name (blocks.0.attn.qkv.weight …).
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace sgmae {

struct Parameter {
  std::string name;
  at::Tensor value;  // fp32
  at::Tensor grad;   // fp32, same shape; undefined for what is not trained (position embeddings)
  bool trained() const { return grad.defined(); }
};

}  // namespace sgmae
