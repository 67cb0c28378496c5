// How a device records work and does it again: what the plug-in sgmae/cuda/graph.cpp gives for
// CUDA, and tests for the pretended device.
#pragma once

namespace sgmae {

// Each function returns null, or what went wrong, valid until the thread's next call.
struct GraphApi {
  // From now until end() what this thread queues on the GPU `device` is recorded and not done.
  // Memory of tensors made meanwhile belongs to the graph.
  const char* (*begin)(int device, void** graph);
  const char* (*end)(void* graph);
  // Queues all of it, reading and writing the same memory as when it was recorded.
  const char* (*replay)(void* graph);
  // Also of one that was begun and not ended.
  void (*destroy)(void* graph);
};

// The one function that the plug-in exports, by this name.
inline constexpr const char* graph_api_symbol = "sgmae_graph_api";
using GetGraphApi = const GraphApi* (*)();

}  // namespace sgmae
