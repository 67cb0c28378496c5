#include "sgmae/nn/step_graph.h"

#include <ATen/ops/empty.h>
#include <dlfcn.h>

#include <filesystem>
#include <stdexcept>

#include "sgmae/base/error.h"
#include "sgmae/base/log.h"
#include "sgmae/nn/device.h"

namespace sgmae {
namespace {

void say_unused(const std::string& why) {
  info("CUDA graphs are not used, which costs small models speed: ", why);
}

}  // namespace

const GraphApi* open_graphs(at::Device device) {
  if (!device.is_cuda()) return nullptr;
  std::error_code ignored;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  const std::string path = program.parent_path() / "libsgmae_cuda.so";
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* const get = library ? dlsym(library, graph_api_symbol) : nullptr;
  if (get) return reinterpret_cast<GetGraphApi>(get)();
  say_unused(dlerror());
  return nullptr;
}

MaeLoss StepGraph::forward_backward(const at::Tensor& pixels, const MaskPlan& plan,
                                    double loss_scale) {
  const Kind kind{pixels.sizes().vec(), plan.order.sizes().vec(), plan.n_visible, loss_scale};
  if (api_ && kind != kind_) {
    forget();
    kind_ = kind;
  }
  if (!api_ || (!graph_ && seen_++ < warm_up) || (!graph_ && !record(kind)))
    return model_.forward_backward(pixels, plan, loss_scale);
  pixels_.copy_(pixels, /*non_blocking=*/true);
  plan_.order.copy_(send(plan.order, plan_.order.device()));
  if (const char* error = api_->replay(graph_))
    throw std::runtime_error(str("a CUDA graph could not be run: ", error));
  return {loss_.mean.clone(), loss_.per_patch.clone()};  // the next step writes over them
}

// Nothing is computed meanwhile. False where it cannot be recorded.
bool StepGraph::record(const Kind& kind) {
  const at::Device device = model_.encoder().device();
  pixels_ = at::empty(kind.pixels, at::TensorOptions(at::kFloat).device(device));
  plan_ = {at::empty(kind.order, at::TensorOptions(at::kLong).device(device)), kind.n_visible};
  std::string error;
  try {
    const char* failed = api_->begin(device.index(), &graph_);
    if (!failed) {
      loss_ = model_.forward_backward(pixels_, plan_, kind.loss_scale);
      failed = api_->end(graph_);
    }
    if (!failed) return true;
    error = failed;
  } catch (const c10::Error& refused) {
    error = refused.what_without_backtrace();
  }
  forget();
  api_ = nullptr;
  say_unused(error);
  return false;
}

// Tensors first: their memory is the graph's.
void StepGraph::forget() {
  loss_ = {};
  if (graph_) api_->destroy(graph_);
  graph_ = nullptr;
  pixels_ = at::Tensor();
  plan_ = {};
  seen_ = 0;
}

}  // namespace sgmae
