// The probe of dense features: one linear layer by patch.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "sgmae/dense/layers.h"
#include "sgmae/segment/config.h"

namespace sgmae {

// Batch norm without affine, as MAE's linear probe has it, and a 1x1 convolution over maps side by
// side. Named decode_head.bn and decode_head.classifier.
class LinearSegmentHead {
 public:
  LinearSegmentHead(const SegmenterConfig& config, LayerMaker make);
  // maps [B, D, rows, columns] -> [B, classes, rows, columns]
  at::Tensor logits(const std::vector<at::Tensor>& maps, at::ScalarType type) const;

 private:
  BatchNorm norm_;
  Convolution classifier_;
};

}  // namespace sgmae
