// Forward and backward of MAE's training step as one recorded piece of work (a CUDA graph), which
// takes the host one launch in place of hundreds: what a small model's step on a GPU mostly waits
// for. The same of the rounding of weights between steps.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "sgmae/nn/graph_api.h"
#include "sgmae/nn/mae.h"

namespace sgmae {

// What records on `device`; null where nothing does, which is said where it is CUDA. It lives as
// long as the process.
const GraphApi* open_graphs(at::Device device);

class StepGraph {
 public:
  // Steps that go as usual before one is recorded: libraries make their choices in the first.
  static constexpr int warm_up = 3;

  // `model` must outlive this, and its parameters keep their tensors. Without `api` every step goes
  // as usual.
  StepGraph(Mae& model, const GraphApi* api) : model_(model), api_(api), usable_(api) {}
  ~StepGraph();
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;

  // Mae::forward_backward. Steps of another kind than those before (shapes, patches that are
  // visible, loss_scale) begin anew; a step that cannot be recorded goes as usual, and so do all
  // after it, which is said.
  MaeLoss forward_backward(const at::Tensor& pixels, const MaskPlan& plan, double loss_scale = 1.0);

  // Mae::parameters_changed, of which bf16 copies of weights, one launch each, are most of the
  // work.
  void parameters_changed();

  bool recorded() const { return step_ != nullptr; }

 private:
  // What is recorded for good, beside the addresses of parameters.
  struct Kind {
    std::vector<std::int64_t> pixels, order;
    std::int64_t n_visible = 0, n_thrown = 0;
    double loss_scale = 0;
    bool operator==(const Kind&) const = default;
  };

  template <class Work>
  void* record(const Work& work);
  bool record_step(const Kind& kind);
  void replay(void* graph) const;
  void forget_step();

  Mae& model_;
  const GraphApi* api_;
  bool usable_;  // nothing was refused yet
  Kind kind_;
  int seen_ = 0;  // steps of that kind that went as usual
  void* step_ = nullptr;
  void* rounding_ = nullptr;
  at::Tensor pixels_;  // what the step reads …
  MaskPlan plan_;
  MaeLoss loss_;  // … and writes
};

}  // namespace sgmae
