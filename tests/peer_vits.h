// The models of tests/golden/vitdet_beit.py: ViTDet and BEiT at tiny sizes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sgmae/nn/config.h"

namespace sgmae {

inline std::vector<BlockAttention> blocks_of(const std::vector<std::int64_t>& windows,
                                             RelativePosition kind) {
  std::vector<BlockAttention> blocks;
  for (const std::int64_t window : windows) blocks.push_back({window, kind});
  return blocks;
}

// `name` is that of the golden file.
inline VitConfig peer_config(const std::string& name) {
  VitConfig c;
  c.patch_size = 4;
  c.size = {16, name == "beit" ? 2 : 3, 2};
  if (name == "beit") {
    c.height = c.width = 16;
    c.mlp_hidden = 24;
    c.layer_scale = true;
    c.position_embedding = false;
    c.attention = blocks_of({0, 0}, RelativePosition::bias);
    return c;
  }
  c.mlp_hidden = 32;
  c.class_token = c.final_norm = false;
  if (name == "vitdet_square") {
    c.height = c.width = 20;
    c.attention = blocks_of({3, 0, 3}, RelativePosition::decomposed);
  } else {
    c.height = 12, c.width = 36;
    c.position_embedding = false;
    c.attention = blocks_of({4, 4, 0}, RelativePosition::decomposed);
  }
  return c;
}

}  // namespace sgmae
