// What every optimizer does with the gradients of a model.
#pragma once

#include "sgmae/io/safetensors.h"

namespace sgmae {

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  // One step with gradients times `grad_scale`, which are zero afterwards.
  virtual void step(double lr, double grad_scale = 1.0) = 0;

  // Whether each process steps its shard of the values alone. Then step(), state() and load() are
  // called by all, and state() is whole in process 0.
  virtual bool sharded() const { return false; }

  // What it remembers of earlier steps, by names of its own (sharing memory with the optimizer).
  virtual NamedTensors state() const = 0;
  // Throws Error(checkpoint) when a tensor is missing or of another shape.
  virtual void load(const TensorFile& file) = 0;
};

}  // namespace sgmae
