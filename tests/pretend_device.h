// A device that is not the CPU, on any machine: LibTorch's slot for other accelerators, filled with
// one whose memory this process cannot read at the addresses that tensors hold (touching one ends
// the test with a segmentation fault), and whose operators are the CPU's behind a check that all
// tensors lie on it. What runs here has every tensor where it belongs, as it must on a GPU, and its
// numbers can be compared.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>

#include "sgmae/nn/graph_api.h"

namespace sgmae {

// Fills the slot at the first call. Known to open_device() as "pretend" from then on.
at::Device pretend_device();

// What crossed between it and the CPU, each number since the process began.
struct Transfers {
  std::int64_t to_device = 0;  // copies
  std::int64_t to_host = 0;    // copies, and values that an operator gives to the CPU
  // Those of both that a GPU's host would wait for: all but non-blocking copies from or to pinned
  // memory.
  std::int64_t waits = 0;
};
Transfers pretend_transfers();

// What crosses while `what` runs.
template <class Action>
Transfers transfers_of(const Action& what) {
  const Transfers before = pretend_transfers();
  what();
  const Transfers after = pretend_transfers();
  return {after.to_device - before.to_device, after.to_host - before.to_host,
          after.waits - before.waits};
}

// Records and repeats what is queued on it, as CUDA graphs do: while recording nothing is done,
// results are not numbers, and reads and copies from or to the CPU are refused.
const GraphApi* pretend_graphs();

struct GraphCounts {
  std::int64_t begun = 0, replayed = 0, alive = 0;
};
GraphCounts pretend_graph_counts();

}  // namespace sgmae
