// A semantic segmentation model on a plain vision transformer, which the last column of the paper's
// Table 2 fine-tunes (method.md 8.2).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "sgmae/io/tensors.h"
#include "sgmae/nn/block.h"
#include "sgmae/nn/encoder.h"
#include "sgmae/nn/parameter.h"
#include "sgmae/segment/config.h"

namespace sgmae {

// What the draws of a batch's dropout are keyed by; `batch` is the one of all processes together.
struct SegmentDraw {
  std::uint64_t seed = 0, epoch = 0, batch = 0;
};

// Means over the labelled pixels of a batch (0 where there is none), 0-dim fp32 on the model's
// device, without gradients.
struct SegmentationLosses {
  at::Tensor decode, auxiliary;  // cross-entropies; auxiliary: 0 without that head, unweighted
  at::Tensor total;              // decode + auxiliary_weight * auxiliary
  at::Tensor accuracy;           // share of labelled pixels that the decode head has right
};

class Segmenter {
 public:
  // Weights drawn from `seed`: the encoder's as MAE's, the heads' as mmsegmentation's. Without a
  // seed they are undefined, to be written over. Parameters: the encoder's under MAE's names, then
  // the heads' under transformers' (fpn1.0.weight, decode_head.…, auxiliary_head.…).
  Segmenter(const SegmenterConfig& config, std::optional<std::uint64_t> seed);
  ~Segmenter();
  Segmenter(Segmenter&&) noexcept;
  Segmenter& operator=(Segmenter&&) noexcept;

  // Those of a model of these sizes, without values or memory for gradients; to be counted.
  static std::vector<Parameter> parameters_of(const SegmenterConfig& config);

  const SegmenterConfig& config() const;
  const Encoder& encoder() const;
  std::vector<Parameter>& parameters();
  const std::vector<Parameter>& parameters() const;
  // Running means and variances of batch norms, and num_batches_tracked; they share memory with the
  // model.
  NamedTensors statistics() const;
  void set_precision(Precision precision);
  void checkpoint_activations(bool yes);  // Encoder's
  void parameters_changed();              // call after writing to parameter values from outside
  void move_to(at::Device device);

  // One batch of crops, pixels [B, C, H, W] normalised and labels [B, H, W] uint8, of the model's
  // size. Batch norms take the statistics of all processes' batches (Ioffe and Szegedy 2015): it is
  // then a collective. Adds loss_scale times the gradients of the total.
  SegmentationLosses forward_backward(const at::Tensor& pixels, const at::Tensor& labels,
                                      std::vector<DropPath> drop_path, const SegmentDraw& draw,
                                      double loss_scale, const GradientsReady& ready = {});

  // pixels [B, C, H, W] of whole patches, no larger than the model's -> logits [B, classes, h, w]
  // fp32 on the model's device, at a quarter of the size (UperNet) or by patch (linear), by the
  // running statistics.
  at::Tensor logits(const at::Tensor& pixels) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sgmae
