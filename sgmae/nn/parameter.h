// A tensor of the model under MAE's own name (blocks.0.attn.qkv.weight …).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace sgmae {

struct Parameter {
  std::string name;
  at::Tensor value;  // fp32
  at::Tensor grad;   // fp32, same shape; undefined for what is not trained (position embeddings)
  bool trained() const { return grad.defined(); }
};

// How many numbers they hold together.
inline std::int64_t value_count(const std::vector<Parameter>& parameters) {
  std::int64_t count = 0;
  for (const Parameter& parameter : parameters) count += parameter.value.numel();
  return count;
}

// Values and gradients to `device`. What keeps other tensors of them (a model's Linear, an
// optimizer) must be told or made afterwards.
inline void move_parameters(std::vector<Parameter>& parameters, at::Device device) {
  for (Parameter& parameter : parameters) {
    parameter.value = parameter.value.to(device);
    if (parameter.trained()) parameter.grad = parameter.grad.to(device);
  }
}

}  // namespace sgmae
