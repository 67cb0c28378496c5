// The vision transformer that MAE pre-trains and every ViT checkpoint of the field holds: patches
// embedded, class token (and registers) in front, positions added, blocks, final norm.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sgmae/nn/block.h"
#include "sgmae/nn/config.h"
#include "sgmae/nn/initialiser.h"
#include "sgmae/nn/mask_plan.h"
#include "sgmae/nn/taps.h"

namespace sgmae {

// What the backward pass needs of a forward pass.
struct EncoderTrace {
  std::vector<DropPath> drop_path;  // set by the caller before forward; empty: none
  GradientsReady gradients_ready;   // set by the caller before backward; empty: nobody listens
  // [B, n_visible] fp32 on the encoder's device, set by the caller before forward: what the tokens
  // of patches, positions included, are multiplied by (CL-MAE); undefined: 1. And the gradient of
  // it, which backward then sets.
  at::Tensor token_weights, dtoken_weights;
  MaskPlan plan;
  GridSize grid;                   // of the pixels
  at::Tensor patches;              // [B*n_visible, C*p*p] activations
  at::Tensor tokens;               // [B, n_visible, D] fp32 before they were weighted, or undefined
  std::vector<BlockTrace> blocks;  // those that ran
  Normed norm;
  std::vector<std::int64_t> features;  // which blocks' outputs were handed out
};

class Encoder {
 public:
  // Makes cls_token, registers and pos_embed, those that the model has; then patch_embed, blocks
  // and norm. Two steps, since the published autoencoders list the decoder's tokens in between. A
  // trained pos_embed gets gradients (fine-tuning); else it stays the sine-cosine table
  // (pre-training).
  void add_tokens(const VitConfig& config, bool train_pos_embed, Initialiser& init);
  void add_layers(Initialiser& init);

  const VitConfig& config() const { return config_; }
  std::span<Block> blocks() { return blocks_; }
  void set_precision(Precision precision);
  // Whether a trace keeps only what enters each block, which the backward pass then computes again.
  void checkpoint_activations(bool yes) { checkpoints_ = yes; }
  bool checkpoints_activations() const { return checkpoints_; }
  Precision precision() const { return type_ == at::kBFloat16 ? Precision::bf16 : Precision::fp32; }
  void parameters_changed();  // call after writing to parameter values from outside
  at::Device device() const { return patch_embed_.weight->value.device(); }  // where it computes

  // Pixels and plans may lie on any device, and come to the encoder's.

  // All patches (nothing masked) -> [B, 1+N, D] fp32 after the final norm, registers left out; or
  // [B, N, D] without a class token; on the device of `pixels`. Runs no further than the taps need
  // when `taps_only` (then returns an undefined tensor). Taps count registers: their tokens are
  // CLS, registers, patches.
  at::Tensor encode(const at::Tensor& pixels, Taps* taps = nullptr, bool taps_only = false) const;

  // The visible patches -> [B*(prefix_tokens+n_visible), D] after the final norm, as activations;
  // without a final norm the fp32 residual stream; on the encoder's device. `trace` and `taps` may
  // be null. Windows and relative positions take whole images only (whole_image).
  // Throws Error(usage) for pixels of another size than the model's.
  at::Tensor forward(const at::Tensor& pixels, const MaskPlan& plan, EncoderTrace* trace,
                     Taps* taps) const;
  // Adds the gradients of all parameters for dlatent, the gradient of forward's result. Frees the
  // trace's blocks as it goes. With dpixels: dpixels = that of the pixels [B, C, H, W] fp32, zero
  // where a patch is not visible.
  void backward(const at::Tensor& dlatent, EncoderTrace& trace, at::Tensor* dpixels = nullptr);

  // For heads that read the encoder at several depths: of all patches, the output of each of
  // `blocks` (from 0, ascending), [B, prefix_tokens+N, D] fp32 before the final norm, on the
  // encoder's device. They share memory with the trace: read only. Nothing runs after the last of
  // them. `trace` may be null. Images may be smaller than the model's, by whole patches: they have
  // the positions of its upper left corner. Throws Error(usage) for larger ones.
  std::vector<at::Tensor> forward_features(const at::Tensor& pixels,
                                           const std::vector<std::int64_t>& blocks,
                                           EncoderTrace* trace) const;
  // backward for gradients that enter at each of these outputs; undefined for none.
  void backward_features(const std::vector<at::Tensor>& dfeatures, EncoderTrace& trace,
                         at::Tensor* dpixels = nullptr);

 private:
  // Both directions in parts: pixels to the stream before block 0, with room in the trace for
  // `depth` blocks; blocks first .. end-1.
  Stream embed(const at::Tensor& given_pixels, const MaskPlan& plan, GridSize grid,
               std::size_t depth, EncoderTrace* trace, Taps* taps) const;
  void run_blocks(std::size_t first, std::size_t end, const StreamShape& shape, Stream& stream,
                  EncoderTrace* trace, Taps* taps) const;
  // An undefined dx is one of no gradient.
  void run_blocks_backward(std::size_t first, std::size_t end, at::Tensor& dx, EncoderTrace& trace);
  void embed_backward(at::Tensor dx, EncoderTrace& trace, at::Tensor* dpixels);
  at::Tensor placed_tokens(const at::Tensor& embedded, const MaskPlan& plan, GridSize grid) const;
  at::Tensor patch_rows(const at::Tensor& x, const MaskPlan& plan) const;
  StreamShape shape(const MaskPlan& plan, GridSize grid) const;
  GridSize grid() const { return {config_.grid_height(), config_.grid_width()}; }

  VitConfig config_;
  at::ScalarType type_ = at::kFloat;
  bool checkpoints_ = false;
  Parameter *cls_token_ = nullptr, *registers_ = nullptr, *pos_embed_ = nullptr;  // null for none
  Linear patch_embed_;
  std::vector<Block> blocks_;
  LayerNorm norm_;  // without weight where there is none
};

// The plan that masks nothing: patches in the order of the image.
MaskPlan whole_image(std::int64_t batch, std::int64_t n_patches, at::Device device = at::kCPU);

}  // namespace sgmae
