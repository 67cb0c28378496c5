// The model of tests/golden/segmenter.py.
#pragma once

#include "sgmae/segment/segmenter.h"
#include "tests/support/tensors.h"

namespace sgmae {

inline const TensorFile& segment_golden() {
  static const TensorFile file = read_safetensors(SGMAE_TEST_DATA "/segment/beit.safetensors");
  return file;
}

inline SegmenterConfig segment_golden_config() {
  SegmenterConfig c;
  VitConfig vit;
  vit.patch_size = 8;
  vit.size = {8, 6, 2};
  vit.mlp_hidden = 16;
  c.backbone = segmentation_backbone(vit, 40, 40, /*relative_bias=*/true, /*layer_scale=*/true);
  c.classes = 5;
  c.taps = {0, 2, 3, 4};
  c.channels = 8;
  c.dropout = 0;
  c.auxiliary_channels = 4;
  return c;
}

inline Segmenter segment_golden_model() {
  Segmenter model(segment_golden_config(), std::nullopt);
  for (Parameter& p : model.parameters())
    p.value.copy_(golden_tensor(segment_golden(), "param." + p.name));
  for (const auto& [name, value] : model.statistics())
    value.copy_(golden_tensor(segment_golden(), "statistic." + name));
  model.parameters_changed();
  return model;
}

}  // namespace sgmae
