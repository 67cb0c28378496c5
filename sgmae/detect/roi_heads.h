// What each proposed box holds: the box head (class and a better box) and the mask head of Mask
// R-CNN (He et al. 2017), with the convolutions and norms of ViTDet.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "sgmae/dense/layers.h"
#include "sgmae/detect/config.h"

namespace sgmae {

// The part of each box [n, 4] of an image's pyramid, from the level of its size (Lin et al. 2017,
// eq. 1: a box of 14 patches' side belongs to p4): [n, C, cells, cells].
at::Tensor pool_boxes(const std::vector<at::Tensor>& levels, const at::Tensor& boxes,
                      std::int64_t patch_size, std::int64_t cells, std::int64_t samples);

// The levels 0 (p2) to 3 (p5) of boxes, [n] int64.
at::Tensor level_of(const at::Tensor& boxes, std::int64_t patch_size);

class BoxHead {
 public:
  BoxHead(const MaskRcnnConfig& config, LayerMaker make);

  struct Output {
    at::Tensor scores;  // [n, classes + 1] fp32 logits, the last that of no object
    at::Tensor deltas;  // [n, 4 * classes] fp32
  };
  Output forward(const at::Tensor& pooled, at::ScalarType type) const;

 private:
  std::vector<Convolution> convolutions_;
  Dense hidden_, scores_, deltas_;
};

class MaskHead {
 public:
  MaskHead(const MaskRcnnConfig& config, LayerMaker make);

  // pooled [n, C, s, s] -> logits [n, classes, 2s, 2s] fp32.
  at::Tensor forward(const at::Tensor& pooled, at::ScalarType type) const;

 private:
  std::vector<Convolution> convolutions_;
  Doubling doubling_;
  Convolution predictor_;
};

// Proposals that the losses are taken of, with what they stand for; positives first.
struct TrainingBoxes {
  at::Tensor boxes;    // [n, 4]
  at::Tensor labels;   // [n] int64, `classes` for no object
  at::Tensor objects;  // [positives] int64: which object each stands for
};

// Draws from an image's proposals and its objects themselves; labels [objects] int64.
TrainingBoxes training_boxes(const at::Tensor& proposals, const at::Tensor& objects,
                             const at::Tensor& labels, const at::Tensor& crowds,
                             std::int64_t classes, const RoiConfig& config, const Draw& draw);

struct BoxLoss {
  at::Tensor classification, box;  // 0-dim
};

// Means over boxes [n, 4] with labels [n]; targets [positives, 4]: encoded boxes of those whose
// label is a class, in order.
BoxLoss box_loss(const BoxHead::Output& output, const at::Tensor& labels, const at::Tensor& targets,
                 const RoiConfig& config);

// Mean over positives and cells: logits [n, classes, s, s], labels [n], targets [n, s, s]; 0 for
// none.
at::Tensor mask_loss(const at::Tensor& logits, const at::Tensor& labels, const at::Tensor& targets);

struct FoundBoxes {
  at::Tensor boxes;   // [n, 4], best first
  at::Tensor scores;  // [n] fp32, 0 .. 1
  at::Tensor labels;  // [n] int64
};

// What the box head found in an image of that size, of boxes [n, 4].
FoundBoxes found_boxes(const BoxHead::Output& output, const at::Tensor& boxes, std::int64_t height,
                       std::int64_t width, const RoiConfig& config);

}  // namespace sgmae
