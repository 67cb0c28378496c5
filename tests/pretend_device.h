// A device that is not the CPU, on any machine: LibTorch's slot for other accelerators, filled with
// one whose memory this process cannot read at the addresses that tensors hold (touching one ends
// the test with a segmentation fault), and whose operators are the CPU's behind a check that all
// tensors lie on it. What runs here has every tensor where it belongs, as it must on a GPU, and its
// numbers can be compared.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>

namespace sgmae {

// Fills the slot at the first call. Known to open_device() as "pretend" from then on.
at::Device pretend_device();

// Copies between it and the CPU, and values read by the CPU, since the process began.
struct Transfers {
  std::int64_t to_device = 0, to_host = 0;
};
Transfers pretend_transfers();

}  // namespace sgmae
