// What the trainings of an encoder with something on top have in common.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sgmae/base/options.h"
#include "sgmae/checkpoint/model_file.h"
#include "sgmae/nn/parameter.h"
#include "sgmae/optim/adamw.h"
#include "sgmae/train/learner.h"
#include "sgmae/train/options.h"

namespace sgmae {

// What a model with a head of its own begins from: a checkpoint, or an encoder from scratch.
struct EncoderOptions {
  std::string checkpoint;       // to begin from, to test or to predict with; "": from scratch
  OpenOptions open;             // of the checkpoint
  std::string model;            // from scratch: its encoder; "": vit_base_patch16
  std::int64_t patch_size = 0;  // this and the next two from scratch; 0: by the name
  std::int64_t dim = 0, depth = 0;

 protected:
  void declare(Options& options);  // section [model]
  void check() const;              // throws Error(usage)
};

// AdamW with beta 0.9 and 0.999, by the options' schedule and `rules` (layer_decay_rules).
// `changed` is told when values were written.
Learner fine_tuning_learner(std::vector<Parameter>& parameters,
                            const std::vector<ParameterRule>& rules, const OptimOptions& optim,
                            const MemoryOptions& memory, at::Device device,
                            std::function<void()> changed);

}  // namespace sgmae
