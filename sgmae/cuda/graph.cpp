// CUDA graphs for nn/step_graph.h, as a library of its own that is opened at run time once
// libtorch_cuda.so is: sgmae itself links nothing of CUDA. Nor does this; what it needs is found in
// the libraries that are open then.
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "sgmae/nn/graph_api.h"

namespace sgmae {
namespace {

namespace memory = c10::cuda::CUDACachingAllocator;

template <class Action>
const char* error_of(const Action& action) {
  static thread_local std::string message;
  try {
    action();
    return nullptr;
  } catch (const c10::Error& error) {
    message = error.what_without_backtrace();
  } catch (const std::exception& error) {
    message = error.what();
  }
  message.resize(std::min(message.find('\n'), message.size()));
  return message.c_str();
}

struct Graph {
  explicit Graph(c10::DeviceIndex index)
      : device(index), stream(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, index)) {}
  ~Graph() {
    if (!guard) return;
    error_of([&] { graph.capture_end(); });
    // Where that fails it leaves the allocator recording.
    error_of([&] { memory::endAllocateToPool(device, pool); });
    error_of([&] { memory::releasePool(device, pool); });
  }

  void begin() {
    memory::emptyCache();  // what earlier steps needed is of no use to a graph, which has its own
    guard.emplace(stream);
    // Other threads go on pinning memory for batches, which the global mode forbids.
    graph.capture_begin(pool, cudaStreamCaptureModeThreadLocal);
  }
  void end() {
    graph.capture_end();
    guard.reset();
  }

  c10::DeviceIndex device;
  c10::cuda::CUDAStream stream;
  c10::MempoolId_t pool = at::cuda::graph_pool_handle();
  at::cuda::CUDAGraph graph;
  std::optional<c10::cuda::CUDAStreamGuard> guard;  // while it records
};

const char* begin(int device, void** graph) {
  *graph = nullptr;
  return error_of([&] {
    auto begun = std::make_unique<Graph>(static_cast<c10::DeviceIndex>(device));
    begun->begin();
    *graph = begun.release();
  });
}

const char* end(void* graph) {
  return error_of([&] { static_cast<Graph*>(graph)->end(); });
}

const char* replay(void* graph) {
  return error_of([&] { static_cast<Graph*>(graph)->graph.replay(); });
}

void destroy(void* graph) {
  delete static_cast<Graph*>(graph);
}

constexpr GraphApi api{&begin, &end, &replay, &destroy};

}  // namespace
}  // namespace sgmae

extern "C" __attribute__((visibility("default"))) const sgmae::GraphApi* sgmae_graph_api() {
  return &sgmae::api;
}
