// An exponential moving average of a model's parameters: the teacher of self-distillation and of
// masking strategies that predict where the loss is high (HPM: momentum 0.999).
#pragma once

#include <string>
#include <vector>

#include "sgmae/io/safetensors.h"
#include "sgmae/nn/parameter.h"

namespace sgmae {

// A momentum that rises from `first` to 1 by half a cosine: at `progress`, the share of the run
// that is done, 1 - (1 - first) (1 + cos(pi progress)) / 2 (iBOT, MoCo v3).
double rising_momentum(double first, double progress);

class Ema {
 public:
  // Begins as a copy of `parameters`' values, on their device.
  explicit Ema(const std::vector<Parameter>& parameters);

  // average <- momentum * average + (1 - momentum) * value, for the parameters it was made of.
  void update(const std::vector<Parameter>& parameters, double momentum);

  // The averages under their parameters' names (sharing memory).
  const NamedTensors& values() const { return values_; }

  // "ema.<name>"
  NamedTensors state() const;
  // Throws Error(checkpoint) when one is missing or of another shape.
  void load(const TensorFile& file);

 private:
  NamedTensors values_;
};

}  // namespace sgmae
