// The device, other than the CPU, that suites with "Device" in their name, or in a test's, run on.
#pragma once

#include <cstdlib>

#include "sgmae/nn/device.h"
#include "tests/pretend_device.h"

namespace sgmae {

// The one that the environment variable SGMAE_TEST_DEVICE names, else the pretended one. Throws
// what open_device() throws. Comes first in a test, before anything asks LibTorch about CUDA.
inline at::Device other_device() {
  const char* name = std::getenv("SGMAE_TEST_DEVICE");
  return name ? open_device(name) : pretend_device();
}

}  // namespace sgmae
