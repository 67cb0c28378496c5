#include "sgmae/optim/adamw.h"

#include <ATen/Parallel.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <map>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/nn/kernels/cpu.h"
#include "sgmae/optim/groups.h"

namespace sgmae {

AdamW::AdamW(std::vector<Parameter>& parameters, AdamWOptions options,
             const std::vector<ParameterRule>& rules)
    : options_(options) {
  SGMAE_ASSERT(rules.empty() || rules.size() == parameters.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    Parameter& parameter = parameters[i];
    if (!parameter.trained()) continue;
    const ParameterRule rule = rules.empty() ? ParameterRule{1, is_decayed(parameter)} : rules[i];
    moments_.push_back(
        {&parameter, rule, at::zeros_like(parameter.value), at::zeros_like(parameter.value)});
  }
  if (moments_.empty() || moments_.front().exp_avg.is_cpu()) return;
  grads_ = flat_gradients(parameters);
  step_ = at::zeros({}, moments_.front().exp_avg.options());
  make_groups();
}

void AdamW::step(double lr, double grad_scale) {
  ++steps_;
  if (moments_.empty()) return;
  if (moments_.front().exp_avg.is_cpu())
    step_on_cpu(lr, grad_scale);
  else
    step_on_device(lr, grad_scale);
}

// LibTorch's fused operator takes many tensors with one learning rate and decay. Decayed weights
// and exempt biases alternate in memory, so that few large pieces cannot stand for them.
void AdamW::make_groups() {
  std::map<std::pair<double, bool>, Group> groups;  // by rule
  for (const Moments& m : moments_) {
    Group& group = groups[{m.rule.lr_scale, m.rule.decayed}];
    group.rule = m.rule;
    group.values.push_back(m.parameter->value);
    group.grads.push_back(m.parameter->grad);
    group.exp_avgs.push_back(m.exp_avg);
    group.exp_avg_sqs.push_back(m.exp_avg_sq);
    group.steps.push_back(step_);
  }
  for (auto& [rule, group] : groups) groups_.push_back(std::move(group));
}

void AdamW::step_on_device(double lr, double grad_scale) {
  step_.fill_(static_cast<double>(steps_));
  if (grad_scale != 1) grads_.mul_(grad_scale);
  for (Group& group : groups_)
    at::_fused_adamw_(group.values, group.grads, group.exp_avgs, group.exp_avg_sqs,
                      /*max_exp_avg_sqs=*/{}, group.steps, lr * group.rule.lr_scale, options_.beta1,
                      options_.beta2, group.rule.decayed ? options_.weight_decay : 0, options_.eps,
                      /*amsgrad=*/false, /*maximize=*/false);
  grads_.zero_();
}

void AdamW::step_on_cpu(double lr, double grad_scale) {
  const double t = static_cast<double>(steps_);
  AdamWStep step{};
  step.beta1 = static_cast<float>(options_.beta1);
  step.beta2 = static_cast<float>(options_.beta2);
  step.eps = static_cast<float>(options_.eps);
  step.bias_correction2 = static_cast<float>(std::sqrt(1.0 - std::pow(options_.beta2, t)));
  step.grad_scale = static_cast<float>(grad_scale);
  for (Moments& m : moments_) {
    const double own_lr = lr * m.rule.lr_scale;
    step.step_size = static_cast<float>(own_lr / (1.0 - std::pow(options_.beta1, t)));
    step.decay = m.rule.decayed ? static_cast<float>(1.0 - own_lr * options_.weight_decay) : 1.0f;
    float* grad = m.parameter->grad.data_ptr<float>();
    float* value = m.parameter->value.data_ptr<float>();
    float *first = m.exp_avg.data_ptr<float>(), *second = m.exp_avg_sq.data_ptr<float>();
    at::parallel_for(0, m.exp_avg.numel(), 1 << 14, [&](std::int64_t begin, std::int64_t end) {
      cpu_kernels().adamw(end - begin, step, grad + begin, value + begin, first + begin,
                          second + begin);
    });
    m.parameter->cleared = true;
  }
}

NamedTensors AdamW::state() const {
  NamedTensors tensors{{"adamw.step", at::scalar_tensor(steps_, at::kLong)}};
  for (const Moments& m : moments_) {
    tensors.emplace_back("exp_avg." + m.parameter->name, m.exp_avg);
    tensors.emplace_back("exp_avg_sq." + m.parameter->name, m.exp_avg_sq);
  }
  return tensors;
}

void AdamW::load(const TensorFile& file) {
  const auto find = [&](const std::string& name) -> const at::Tensor& {
    const at::Tensor* tensor = file.find(name);
    check(tensor, ExitCode::checkpoint, "the optimizer state lacks '", name,
          "'; it belongs to another model");
    return *tensor;
  };
  const auto load = [&](const std::string& name, at::Tensor& to) {
    const at::Tensor& from = find(name);
    check(from.sizes() == to.sizes(), ExitCode::checkpoint, "the optimizer state's '", name,
          "' has another shape than the model's; it belongs to another model");
    to.copy_(from);
  };
  steps_ = find("adamw.step").item<std::int64_t>();
  for (Moments& m : moments_) {
    load("exp_avg." + m.parameter->name, m.exp_avg);
    load("exp_avg_sq." + m.parameter->name, m.exp_avg_sq);
  }
}

}  // namespace sgmae
