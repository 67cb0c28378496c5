// Mask R-CNN on a plain vision transformer: ViTDet (Li et al. 2022), which the paper's Table 2
// fine-tunes.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "sgmae/detect/config.h"
#include "sgmae/detect/masks.h"
#include "sgmae/nn/block.h"
#include "sgmae/nn/encoder.h"
#include "sgmae/nn/parameter.h"

namespace sgmae {

// What is to be found in one image. Boxes in its pixels, on the CPU.
struct DetectionTargets {
  at::Tensor boxes;   // [n, 4] fp32
  at::Tensor labels;  // [n] int64, 0 .. classes - 1
  at::Tensor crowds;  // [m, 4] fp32: neither objects nor background
  // n, empty for those of which only the box is known; not looked at by a model without a mask
  // head.
  std::vector<InstanceMask> masks;
};

// Means over a batch, 0-dim fp32 on the model's device, without gradients.
struct DetectionLosses {
  at::Tensor objectness, proposal_box;  // over the anchors that were drawn
  at::Tensor classification, box;       // over the proposals that were drawn
  at::Tensor mask;                      // over positive ones with a mask, and their cells; or 0

  at::Tensor total() const;
};

struct Detections {
  at::Tensor boxes;   // [n, 4] fp32 in the image's pixels, best first
  at::Tensor scores;  // [n] fp32, 0 .. 1
  at::Tensor labels;  // [n] int64
  at::Tensor masks;   // [n, s, s] fp32, 0 .. 1, over the box; undefined without a mask head
};

// An image's part in a training step.
struct DetectionExample {
  at::Tensor pixels;  // [C, H, W] fp32, normalised
  DetectionTargets targets;
  std::vector<DropPath> drop_path;  // of one image; empty: none
  Draw draw;                        // of anchors, then of proposals
};

class MaskRcnn {
 public:
  // Weights drawn from `seed`: the encoder's as MAE's, the heads' as Detectron2's. Without a seed
  // they are undefined, to be written over. Parameters: the encoder's under MAE's names, then the
  // heads' under ViTDet's (backbone.simfp_…, proposal_generator.…, roi_heads.…).
  MaskRcnn(const MaskRcnnConfig& config, std::optional<std::uint64_t> seed);
  ~MaskRcnn();
  MaskRcnn(MaskRcnn&&) noexcept;
  MaskRcnn& operator=(MaskRcnn&&) noexcept;

  // Those of a model of these sizes, without values or memory for gradients; to be counted.
  static std::vector<Parameter> parameters_of(const MaskRcnnConfig& config);

  const MaskRcnnConfig& config() const;
  const Encoder& encoder() const;
  std::vector<Parameter>& parameters();
  const std::vector<Parameter>& parameters() const;
  void set_precision(Precision precision);
  void checkpoint_activations(bool yes);  // Encoder's
  void parameters_changed();              // call after writing to parameter values from outside
  void move_to(at::Device device);

  // Images may have any sizes up to the canvas, also in one batch: each is seen alone, filled up
  // with zeros to whole patches, so that what else is in the batch changes nothing but what means
  // are taken over.

  // Adds loss_scale times the gradients of the sum of losses.
  DetectionLosses forward_backward(std::vector<DetectionExample>& batch, double loss_scale,
                                   const GradientsReady& ready = {});
  // The losses alone; for what is tested rather than trained.
  DetectionLosses losses(std::vector<DetectionExample>& batch);

  // pixels [C, H, W].
  Detections detect(const at::Tensor& pixels) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sgmae
