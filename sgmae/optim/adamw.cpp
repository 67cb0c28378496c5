#include "sgmae/optim/adamw.h"

#include <ATen/Parallel.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/nn/kernels/cpu.h"
#include "sgmae/optim/groups.h"
#include "sgmae/parallel/process_group.h"
#include "sgmae/parallel/shard.h"

namespace sgmae {

AdamW::AdamW(std::vector<Parameter>& parameters, AdamWOptions options,
             const std::vector<ParameterRule>& rules)
    : options_(options), parameters_(parameters), size_(flat_size(parameters)) {
  SGMAE_ASSERT(rules.empty() || rules.size() == parameters.size());
  if (size_ == 0) return;
  const Shard own =
      options.sharded ? shard_of(size_, processes().rank(), processes().size()) : Shard{0, size_};
  const auto place = parameters.front().value.options();
  exp_avg_ = at::zeros({own.size()}, place);
  exp_avg_sq_ = at::zeros({own.size()}, place);
  std::int64_t at = 0;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    Parameter& parameter = parameters[i];
    if (!parameter.trained()) continue;
    const ParameterRule rule = rules.empty() ? ParameterRule{1, is_decayed(parameter)} : rules[i];
    const std::int64_t end = at + parameter.value.numel();
    const std::int64_t first = std::clamp(own.begin, at, end), last = std::clamp(own.end, at, end);
    const auto mine = [&](const at::Tensor& moments) {
      return first < last ? moments.narrow(0, first - own.begin, last - first)
                          : moments.narrow(0, 0, 0);
    };
    moments_.push_back(
        {&parameter, rule, at, first - at, last - first, mine(exp_avg_), mine(exp_avg_sq_)});
    at += flat_size({&parameter, 1});
  }
}

void AdamW::step(double lr, double grad_scale) {
  ++steps_;
  if (moments_.empty()) return;
  if (exp_avg_.is_cpu())
    step_on_cpu(lr, grad_scale);
  else
    step_on_device(lr, grad_scale);
}

// LibTorch's fused operator takes many tensors with one learning rate and decay. Decayed weights
// and exempt biases alternate in memory, so that few large pieces cannot stand for them.
void AdamW::make_groups() {
  step_ = at::zeros({}, exp_avg_.options());
  grads_ = flat_gradients(parameters_);
  std::map<std::pair<double, bool>, Group> groups;  // by rule
  for (const Moments& m : moments_) {
    if (m.count == 0) continue;
    const auto mine = [&](const at::Tensor& whole) {
      return whole.view({-1}).narrow(0, m.begin, m.count);
    };
    Group& group = groups[{m.rule.lr_scale, m.rule.decayed}];
    group.rule = m.rule;
    group.values.push_back(mine(m.parameter->value));
    group.grads.push_back(mine(m.parameter->grad));
    group.exp_avgs.push_back(m.exp_avg);
    group.exp_avg_sqs.push_back(m.exp_avg_sq);
    group.steps.push_back(step_);
  }
  for (auto& [rule, group] : groups) groups_.push_back(std::move(group));
}

void AdamW::step_on_device(double lr, double grad_scale) {
  if (!grads_.defined()) make_groups();
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
    float* grad = m.parameter->grad.data_ptr<float>() + m.begin;
    float* value = m.parameter->value.data_ptr<float>() + m.begin;
    float *first = m.exp_avg.data_ptr<float>(), *second = m.exp_avg_sq.data_ptr<float>();
    at::parallel_for(0, m.count, 1 << 14, [&](std::int64_t begin, std::int64_t end) {
      cpu_kernels().adamw(end - begin, step, grad + begin, value + begin, first + begin,
                          second + begin);
    });
    m.parameter->cleared = true;
  }
}

NamedTensors AdamW::state() const {
  NamedTensors tensors{{"adamw.step", at::scalar_tensor(steps_, at::kLong)}};
  if (moments_.empty()) return tensors;
  const auto whole = [&](const at::Tensor& own) {
    return options_.sharded ? processes().gather_shards(own.cpu(), size_) : own;
  };
  const at::Tensor exp_avg = whole(exp_avg_), exp_avg_sq = whole(exp_avg_sq_);
  if (!exp_avg.defined()) return tensors;
  for (const Moments& m : moments_) {
    const at::Tensor& value = m.parameter->value;
    const auto of = [&](const at::Tensor& all) {
      return all.narrow(0, m.at, value.numel()).view(value.sizes());
    };
    tensors.emplace_back("exp_avg." + m.parameter->name, of(exp_avg));
    tensors.emplace_back("exp_avg_sq." + m.parameter->name, of(exp_avg_sq));
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
  const auto load = [&](const std::string& prefix, const Moments& m, const at::Tensor& to) {
    const std::string name = prefix + m.parameter->name;
    const at::Tensor& from = find(name);
    check(from.sizes() == m.parameter->value.sizes(), ExitCode::checkpoint,
          "the optimizer state's '", name,
          "' has another shape than the model's; it belongs to another model");
    to.copy_(from.reshape({-1}).narrow(0, m.begin, m.count));
  };
  steps_ = find("adamw.step").item<std::int64_t>();
  for (const Moments& m : moments_) {
    load("exp_avg.", m, m.exp_avg);
    load("exp_avg_sq.", m, m.exp_avg_sq);
  }
}

}  // namespace sgmae
