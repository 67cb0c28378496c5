// The smallest model that has everything, for tests that need one and not its values.
#pragma once

#include "sgmae/nn/config.h"

namespace sgmae {

inline MaeConfig tiny() {
  MaeConfig config;
  config.height = config.width = 16;
  config.channels = 1;
  config.patch_size = 8;
  config.encoder = {16, 1, 2};
  config.decoder = {8, 1, 2};
  return config;
}

}  // namespace sgmae
