// Sizes and constants of a Mask R-CNN on a vision transformer (ViTDet, Li et al. 2022; He et al.
// 2017; method.md 8.1).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/detect/anchors.h"
#include "sgmae/detect/boxes.h"
#include "sgmae/detect/matching.h"
#include "sgmae/nn/config.h"

namespace sgmae {

struct ProposalConfig {
  AnchorShapes anchors;
  Thresholds matching{0.3, 0.7, true};
  std::int64_t samples = 256;  // anchors of an image that the losses are taken of
  double positives = 0.5;      // the largest share of them
  std::int64_t before_nms_training = 2000, before_nms = 1000;  // best of each level
  std::int64_t after_nms = 1000;                               // of an image
  double nms = 0.7;
  double smooth_l1 = 0;  // where the box loss turns from square to absolute; 0: absolute
};

struct RoiConfig {
  Thresholds matching{0.5, 0.5, false};
  std::int64_t samples = 512;
  double positives = 0.25;
  BoxCoding coding{{10, 10, 5, 5}};
  double smooth_l1 = 0;
  double lowest_score = 0.05;     // of a detection
  double nms = 0.5;               // among those of a class
  std::int64_t detections = 100;  // of an image, at most
  std::int64_t box_cells = 7, mask_cells = 14;
  std::int64_t samples_of_cell = 0;  // RoiAlign
};

struct MaskRcnnConfig {
  VitConfig backbone;  // of the canvas; without class token, registers, final norm and head
  std::int64_t classes = 80;
  bool masks = true;               // else Faster R-CNN
  std::int64_t channels = 256;     // of the pyramid and the heads
  std::int64_t box_hidden = 1024;  // of the box head's dense layer
  std::int64_t proposal_convs = 2, box_convs = 4, mask_convs = 4;
  ProposalConfig proposals;
  RoiConfig rois;
};

// A crowd's region decides nothing: what lies in it by at least this share of its own area is no
// negative.
inline constexpr double in_a_crowd = 0.5;

// An encoder of any family as ViTDet has it: for a canvas of this size, in windows but for the
// blocks `global` (empty: the last of every quarter), with decomposed relative positions; without
// class token, registers, final norm and head. Throws Error(usage) for what does not fit.
VitConfig detection_backbone(VitConfig encoder, std::int64_t height, std::int64_t width,
                             std::int64_t window, std::vector<std::int64_t> global);

void check_config(const MaskRcnnConfig& config);  // throws Error(usage)

}  // namespace sgmae
