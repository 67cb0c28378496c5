#include "sgmae/optim/lars.h"

#include <ATen/ops/zeros_like.h>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

// Summed in double: fp32 sums over a 1000 x 2048 matrix lose three digits.
double norm_of(const at::Tensor& tensor) {
  return tensor.to(at::kDouble).norm().item<double>();
}

}  // namespace

Lars::Lars(std::vector<Parameter>& parameters, LarsOptions options) : options_(options) {
  for (Parameter& parameter : parameters)
    if (parameter.trained()) momenta_.push_back({&parameter, at::zeros_like(parameter.value)});
}

void Lars::step(double lr, double grad_scale) {
  for (Momentum& m : momenta_) {
    at::Tensor& value = m.parameter->value;
    at::Tensor grad = m.parameter->grad;
    if (grad_scale != 1) grad = grad.mul(grad_scale);
    if (value.dim() > 1) {
      if (options_.weight_decay != 0) grad = grad.add(value, options_.weight_decay);
      const double size = norm_of(value), slope = norm_of(grad);
      if (size > 0 && slope > 0) grad = grad.mul(options_.trust * size / slope);
    }
    m.mu.mul_(options_.momentum).add_(grad);
    value.sub_(m.mu, lr);
    m.parameter->grad.zero_();
  }
}

NamedTensors Lars::state() const {
  NamedTensors tensors;
  for (const Momentum& m : momenta_) tensors.emplace_back("mu." + m.parameter->name, m.mu);
  return tensors;
}

void Lars::load(const TensorFile& file) {
  for (Momentum& m : momenta_) {
    const std::string name = "mu." + m.parameter->name;
    const at::Tensor* stored = file.find(name);
    check(stored && stored->sizes() == m.mu.sizes(), ExitCode::checkpoint,
          "the optimizer state has no '", name,
          "' of the model's shape; it belongs to another "
          "model");
    m.mu.copy_(*stored);
  }
}

}  // namespace sgmae
