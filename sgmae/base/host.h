// The machine that we run on.
#pragma once

#include <cstdint>
#include <string>

namespace sgmae {

std::string host_name();

// Bytes of memory: all that programs here may use, of the machine or of what the container is
// allowed, and what of the machine's is free now.
struct HostMemory {
  std::int64_t total = 0, available = 0;
};
HostMemory host_memory();

}  // namespace sgmae
