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
  // Of several processes each keeps the moments of its shard of the flat gradients (shard_of) and
  // steps that alone; GradientExchange brings the gradients there and the values back.
  bool sharded = false;
};

// How one parameter is treated.
struct ParameterRule {
  double lr_scale = 1;  // times the learning rate, which weight decay is scaled by too
  bool decayed = true;
};

class AdamW : public Optimizer {
 public:
  // Moments lie on the parameters' device. `parameters` must outlive the optimizer; before its
  // first step they are flat where sharded or not on the CPU, and then keep their tensors. `rules`
  // has one entry for each; empty: all learn alike, and weight decay touches those that
  // is_decayed() (optim/groups.h).
  AdamW(std::vector<Parameter>& parameters, AdamWOptions options,
        const std::vector<ParameterRule>& rules = {});

  // Gradients are cleared while they are at hand, which costs nothing.
  void step(double lr, double grad_scale = 1.0) override;

  std::int64_t steps() const { return steps_; }
  bool sharded() const override { return options_.sharded; }

  // "exp_avg.<name>", "exp_avg_sq.<name>" and "adamw.step" (sharing memory with the optimizer).
  // Sharded they are gathered, and whole in process 0; the others have "adamw.step" alone.
  NamedTensors state() const override;
  void load(const TensorFile& file) override;

 private:
  // What is stepped here of a parameter.
  struct Moments {
    Parameter* parameter;
    ParameterRule rule;
    std::int64_t at;                 // its place in flat memory
    std::int64_t begin, count;       // of its values
    at::Tensor exp_avg, exp_avg_sq;  // [count] fp32
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
  std::vector<Parameter>& parameters_;
  std::int64_t size_ = 0;            // of flat memory
  at::Tensor exp_avg_, exp_avg_sq_;  // all of it, or this process's shard
  std::vector<Moments> moments_;     // of every trained parameter
  std::int64_t steps_ = 0;
  std::vector<Group> groups_;
  at::Tensor step_;   // [] fp32: steps_ where the groups are
  at::Tensor grads_;  // the memory of all gradients
};

}  // namespace sgmae
