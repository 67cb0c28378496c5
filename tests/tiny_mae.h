// The smallest model that has everything, for tests that need one and not its values.
#pragma once

#include "sgmae/nn/config.h"

namespace sgmae {

inline MaeConfig tiny_mae() {
  MaeConfig config;
  config.height = config.width = 16;
  config.channels = 1;
  config.patch_size = 8;
  config.encoder = {16, 1, 2};
  config.decoder = {8, 1, 2};
  return config;
}

// One whose blocks follow each other, of images that are not square.
inline MaeConfig two_blocks(bool norm_pix) {
  MaeConfig config;
  config.height = 16;
  config.width = 24;
  config.patch_size = 4;
  config.encoder = {32, 2, 4};
  config.decoder = {16, 2, 2};
  config.norm_pix_loss = norm_pix;
  return config;
}

}  // namespace sgmae
