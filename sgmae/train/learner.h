// What learns: parameters, how they step, and when.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sgmae/nn/parameter.h"
#include "sgmae/optim/optimizer.h"
#include "sgmae/optim/schedule.h"

namespace sgmae {

// A task has one or several: the model and, say, a masking network. Parameters keep their place.
struct Learner {
  std::string name;  // begins the names of its optimizer's tensors in state files; "" for the model
  std::vector<Parameter>* parameters = nullptr;
  std::unique_ptr<Optimizer> optimizer;
  Schedule schedule;
  double clip_grad = 0;                // largest gradient norm; 0: no clipping
  std::function<void()> changed = {};  // to be told when values were written
};

}  // namespace sgmae
