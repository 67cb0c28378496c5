// UperNet's layers (Xiao et al. 2018) behind four maps of a plain vision transformer, as BEiT has
// them (method.md 8.2). Parameters have the names of transformers' files.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "sgmae/dense/layers.h"
#include "sgmae/segment/config.h"

namespace sgmae {

// Four maps [B, D, rows, columns] -> maps of 4, 2, 1 and 1/2 times their size.
class SegmentNeck {
 public:
  SegmentNeck(std::int64_t dim, LayerMaker make);
  std::vector<at::Tensor> forward(const std::vector<at::Tensor>& maps, at::ScalarType type) const;

 private:
  Doubling quadruple_first_, quadruple_second_, double_;
  BatchNorm norm_;
};

// Means of x [B, C, H, W] over scale x scale parts, which overlap where scale does not divide the
// sides, through a layer: [B, channels, scale, scale], or of the size of x if that is smaller.
struct PooledPart {
  std::int64_t scale = 1;
  NormedConvolution convolution;

  at::Tensor forward(const at::Tensor& x, at::ScalarType type) const;
};

class UperHead {
 public:
  UperHead(const SegmenterConfig& config, LayerMaker make);
  // The neck's maps -> features [B, channels, H, W] of the first one's size, before dropout and
  // classifier.
  at::Tensor features(const std::vector<at::Tensor>& levels, at::ScalarType type) const;
  at::Tensor logits(const at::Tensor& features, at::ScalarType type) const;  // [B, classes, H, W]

 private:
  Convolution classifier_;
  std::vector<PooledPart> pools_;
  NormedConvolution bottleneck_;
  std::vector<NormedConvolution> laterals_, smooth_;
  NormedConvolution last_;  // over all levels
};

// One convolution and a classifier on one map.
class AuxiliaryHead {
 public:
  AuxiliaryHead(const SegmenterConfig& config, LayerMaker make);
  at::Tensor logits(const at::Tensor& map, at::ScalarType type) const;

 private:
  Convolution classifier_;
  NormedConvolution convolution_;
};

}  // namespace sgmae
