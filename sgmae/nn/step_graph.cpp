#include "sgmae/nn/step_graph.h"

#include <ATen/ops/empty.h>

#include <stdexcept>

#include "sgmae/base/error.h"
#include "sgmae/base/log.h"
#include "sgmae/base/plugin.h"
#include "sgmae/nn/device.h"

namespace sgmae {
namespace {

void say_unused(const std::string& why) {
  info("CUDA graphs are not used, which costs small models speed: ", why);
}

}  // namespace

const GraphApi* open_graphs(at::Device device) {
  if (!device.is_cuda()) return nullptr;
  std::string why;
  if (void* const get = open_plugin("cuda", graph_api_symbol, why))
    return reinterpret_cast<GetGraphApi>(get)();
  say_unused(why);
  return nullptr;
}

StepGraph::~StepGraph() {
  forget_step();
  if (rounding_) api_->destroy(rounding_);
}

MaeLoss StepGraph::forward_backward(const at::Tensor& pixels, const MaskPlan& plan,
                                    double loss_scale) {
  const Kind kind{pixels.sizes().vec(), plan.order.sizes().vec(), plan.n_visible, plan.n_thrown,
                  loss_scale};
  if (kind != kind_) {
    forget_step();
    kind_ = kind;
  }
  if (!step_ && (!usable_ || seen_++ < warm_up || !record_step(kind)))
    return model_.forward_backward(pixels, plan, loss_scale);
  pixels_.copy_(pixels, /*non_blocking=*/true);
  plan_.order.copy_(send(plan.order, plan_.order.device()));
  replay(step_);
  return {loss_.mean.clone(), loss_.per_patch.clone()};  // the next step writes over them
}

// Until a step was recorded, and in fp32, where weights are used as they are, there is nothing to
// gain.
void StepGraph::parameters_changed() {
  if (usable_ && step_ && !rounding_ && model_.encoder().precision() == Precision::bf16)
    rounding_ = record([&] { model_.parameters_changed(); });
  if (rounding_)
    replay(rounding_);
  else
    model_.parameters_changed();
}

// Nothing is computed meanwhile. Null where it cannot be recorded.
template <class Work>
void* StepGraph::record(const Work& work) {
  void* graph = nullptr;
  std::string error;
  try {
    const char* failed = api_->begin(model_.encoder().device().index(), &graph);
    if (!failed) {
      work();
      failed = api_->end(graph);
    }
    if (!failed) return graph;
    error = failed;
  } catch (const c10::Error& refused) {
    error = refused.what_without_backtrace();
  }
  if (graph) api_->destroy(graph);
  usable_ = false;
  say_unused(error);
  return nullptr;
}

bool StepGraph::record_step(const Kind& kind) {
  const at::TensorOptions there = at::TensorOptions(model_.encoder().device());
  pixels_ = at::empty(kind.pixels, there.dtype(at::kFloat));
  plan_ = {at::empty(kind.order, there.dtype(at::kLong)), kind.n_visible, kind.n_thrown};
  step_ = record([&] { loss_ = model_.forward_backward(pixels_, plan_, kind.loss_scale); });
  if (!step_) forget_step();
  return step_ != nullptr;
}

void StepGraph::replay(void* graph) const {
  if (const char* error = api_->replay(graph))
    throw std::runtime_error(str("a CUDA graph could not be run: ", error));
}

// Tensors first: their memory is the graph's.
void StepGraph::forget_step() {
  loss_ = {};
  if (step_) api_->destroy(step_);
  step_ = nullptr;
  pixels_ = at::Tensor();
  plan_ = {};
  seen_ = 0;
}

}  // namespace sgmae
