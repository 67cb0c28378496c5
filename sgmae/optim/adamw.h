// AdamW (Loshchilov & Hutter 2019) over the trained parameters of a model, in one pass over memory.
#pragma once

#include <cstdint>
#include <vector>

#include "sgmae/nn/parameter.h"
#include "sgmae/optim/optimizer.h"

namespace sgmae {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.95;  // MAE's pre-training values
  double eps = 1e-8;
  double weight_decay = 0.05;
};

// How one parameter is treated.
struct ParameterRule {
  double lr_scale = 1;  // times the learning rate, which weight decay is scaled by too
  bool decayed = true;
};

class AdamW : public Optimizer {
 public:
  // Moments lie on the parameters' device; gradients on one that is not the CPU are flat, as
  // move_parameters() makes them. `parameters` must outlive the optimizer and keep its tensors.
  // `rules` has one entry for each; empty: all learn alike, and weight decay touches those
  // that is_decayed() (optim/groups.h).
  AdamW(std::vector<Parameter>& parameters, AdamWOptions options,
        const std::vector<ParameterRule>& rules = {});

  // Gradients are cleared while they are at hand, which costs nothing.
  void step(double lr, double grad_scale = 1.0) override;

  std::int64_t steps() const { return steps_; }

  // "exp_avg.<name>", "exp_avg_sq.<name>" and "adamw.step" (sharing memory with the optimizer).
  NamedTensors state() const override;
  void load(const TensorFile& file) override;

 private:
  struct Moments {
    Parameter* parameter;
    ParameterRule rule;
    at::Tensor exp_avg, exp_avg_sq;  // fp32, the parameter's shape
  };

  // On a device that is not the CPU: the parameters of one rule.
  struct Group {
    ParameterRule rule;
    std::vector<at::Tensor> values, grads, exp_avgs, exp_avg_sqs, steps;
  };

  void make_groups();
  void step_on_cpu(double lr, double grad_scale);
  void step_on_device(double lr, double grad_scale);

  AdamWOptions options_;
  std::vector<Moments> moments_;
  std::int64_t steps_ = 0;
  std::vector<Group> groups_;
  at::Tensor step_;   // [] fp32: steps_ where the groups are
  at::Tensor grads_;  // the memory of all gradients
};

}  // namespace sgmae
