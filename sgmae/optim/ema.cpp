#include "sgmae/optim/ema.h"

#include <ATen/ops/lerp.h>

#include <cmath>
#include <numbers>

#include "sgmae/base/error.h"

namespace sgmae {

double rising_momentum(double first, double progress) {
  return 1 - (1 - first) * 0.5 * (1 + std::cos(std::numbers::pi * progress));
}

Ema::Ema(const std::vector<Parameter>& parameters) {
  for (const Parameter& parameter : parameters)
    values_.emplace_back(parameter.name, parameter.value.clone());
}

void Ema::update(const std::vector<Parameter>& parameters, double momentum) {
  SGMAE_ASSERT(parameters.size() == values_.size());
  for (std::size_t i = 0; i < parameters.size(); ++i)
    values_[i].second.lerp_(parameters[i].value, 1 - momentum);
}

NamedTensors Ema::state() const {
  NamedTensors tensors;
  for (const auto& [name, value] : values_) tensors.emplace_back("ema." + name, value);
  return tensors;
}

void Ema::load(const TensorFile& file) {
  for (auto& [name, value] : values_) {
    const at::Tensor* stored = file.find("ema." + name);
    check(stored && stored->sizes() == value.sizes(), ExitCode::checkpoint,
          "the state has no 'ema.", name, "' of the model's shape; it belongs to another model");
    value.copy_(*stored);
  }
}

}  // namespace sgmae
