// Sizes and constants of a semantic segmentation model on a vision transformer: UperNet (Xiao et
// al. 2018) as BEiT and mmsegmentation's MAE recipe have it (method.md 8.2), or one linear layer.
#pragma once

#include <cstdint>
#include <vector>

#include "sgmae/nn/config.h"

namespace sgmae {

enum class SegmentHead {
  uper,   // neck of four levels, pyramid pooling, feature pyramid; an auxiliary head beside it
  linear  // batch norm without affine and a 1x1 convolution on the last tap: the probe of dense
          // features
};

struct SegmenterConfig {
  VitConfig backbone;  // of a crop or window; without registers, final norm and head
  std::int64_t classes = 150;
  SegmentHead head = SegmentHead::uper;
  // Blocks whose outputs are read, from 0, ascending: four for UperNet, one or more for the linear
  // head, which has them side by side.
  std::vector<std::int64_t> taps{3, 5, 7, 11};
  bool frozen_encoder = false;  // only the heads are trained
  // Of UperNet.
  std::int64_t channels = 768;
  std::vector<std::int64_t> pool_scales{1, 2, 3, 6};
  double dropout = 0.1;           // of whole channels, before the last layer, while training
  double auxiliary_weight = 0.4;  // of its loss; 0: no auxiliary head
  std::int64_t auxiliary_channels = 256;
  std::int64_t auxiliary_level = 2;  // of the neck's four
};

// Labels are bytes, of which 255 is unlabelled_pixel (image/label_map.h).
inline constexpr std::int64_t most_segment_classes = 255;

// UperNet's taps for an encoder of so many blocks: 3, 5, 7, 11 of 12, 7, 11, 15, 23 of 24; after a
// third, half, two thirds and all. Throws Error(usage) for fewer than four blocks.
std::vector<std::int64_t> default_taps(std::int64_t depth);

// An encoder of any family as BEiT's segmentation has it, for crops of this size: with a relative
// position bias in every block (zero at first) beside its absolute positions, and LayerScale (1 at
// first), where these are asked for; what it has of its own stays. Without registers, final norm
// and head. Throws Error(usage) for what does not fit.
VitConfig segmentation_backbone(VitConfig encoder, std::int64_t height, std::int64_t width,
                                bool relative_bias, bool layer_scale);

void check_config(const SegmenterConfig& config);  // throws Error(usage)

}  // namespace sgmae
