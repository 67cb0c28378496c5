// LARS (You et al. 2017) as MAE's linear probe uses it (method.md 2.4): matrices take steps in
// proportion to their own norm, so that batches of many thousands can be learned from.
#pragma once

#include <vector>

#include "sgmae/nn/parameter.h"
#include "sgmae/optim/optimizer.h"

namespace sgmae {

struct LarsOptions {
  double momentum = 0.9;
  double trust = 0.001;     // a matrix's gradient is scaled by trust * |w| / |g|
  double weight_decay = 0;  // added to a matrix's gradient before that
};

class Lars : public Optimizer {
 public:
  // `parameters` must outlive the optimizer and keep its tensors.
  Lars(std::vector<Parameter>& parameters, LarsOptions options);

  // mu <- momentum * mu + g, w <- w - lr * mu. Where either norm is 0 the gradient is taken as it
  // is; 1-D tensors take plain momentum.
  void step(double lr, double grad_scale = 1.0) override;

  // "mu.<name>" (sharing memory with the optimizer).
  NamedTensors state() const override;
  void load(const TensorFile& file) override;

 private:
  struct Momentum {
    Parameter* parameter;
    at::Tensor mu;  // fp32, the parameter's shape
  };

  LarsOptions options_;
  std::vector<Momentum> momenta_;
};

}  // namespace sgmae
