// The masked autoencoder: ViT encoder on the visible patches, ViT decoder on all, loss on the
// masked. Forward and backward are written out; no autograd graph is built.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/nn/config.h"
#include "sgmae/nn/decoder.h"
#include "sgmae/nn/encoder.h"
#include "sgmae/nn/mask_plan.h"
#include "sgmae/nn/parameter.h"
#include "sgmae/nn/patches.h"
#include "sgmae/nn/taps.h"

namespace sgmae {

struct MaeOutput {        // on the device of the pixels
  at::Tensor latent;      // [B, 1+n_visible, D] after the final norm
  at::Tensor pred;        // [B, N, p*p*C] (pixel order row, column, channel)
  double loss = 0;        // mean over masked patches and pixels
  at::Tensor patch_loss;  // [B, n_masked] fp32, whose mean it is, in the order of the plan
};

// What the decoder makes of the masked patches, in the order of the plan; on the model's device.
// n_masked is all of them where tokens are weighted.
struct MaePrediction {
  at::Tensor pred;    // [B, n_masked, p*p*C] activations
  at::Tensor tokens;  // [B, n_masked, Dd] activations, after decoder_norm: what pred is made of
};

// What the backward pass needs of a forward pass.
struct MaeTrace {
  // Its gradients_ready, set by the caller before backward, hears of the decoder too.
  EncoderTrace encoder;
  at::Tensor latent;
  at::Tensor decoder_input;  // [B*(1+n_visible+n_masked), Dd] fp32: class token, visible, masked
  // Set by the caller before backward, and called once the decoder's memory is free again: the
  // gradient of decoder_input for another who reads it, undefined for none. Empty: nobody does.
  std::function<at::Tensor()> decoder_input_gradient;
  DecoderTrace decoder;
};

// Reads, in a training step, what the decoder reads (MaeTrace::decoder_input), and returns the
// gradient of it by a loss of its own; undefined for none. `loss` is the decoder's.
using DecoderInputReader =
    std::function<at::Tensor(const at::Tensor& decoder_input, const MaeLoss& loss)>;

class Mae {
 public:
  // Weights drawn as in MAE (method.md 2.1) from `seed`; without one undefined, to be written over.
  Mae(const MaeConfig& config, std::optional<std::uint64_t> seed);
  ~Mae();
  Mae(Mae&&) noexcept;
  Mae& operator=(Mae&&) noexcept;

  const MaeConfig& config() const;
  const Encoder& encoder() const;
  std::vector<Parameter>& parameters();  // registration order of the published files
  const std::vector<Parameter>& parameters() const;
  Precision precision() const { return encoder().precision(); }
  void set_precision(Precision precision);
  void checkpoint_activations(bool yes);  // Encoder's, and of the decoder's blocks but the last
  void parameters_changed();              // call after writing to parameter values from outside
  // Has the model compute on `device` from now on. Its parameters' tensors are then others: move it
  // before an optimizer is made of them.
  void move_to(at::Device device);

  // Pixels and plans may lie on any device, and come to the model's.

  // Encoder::encode.
  at::Tensor encode(const at::Tensor& pixels, Taps* taps = nullptr, bool taps_only = false) const {
    return encoder().encode(pixels, taps, taps_only);
  }

  // What the decoder reads (MaeTrace::decoder_input), without gradients.
  at::Tensor decoder_input(const at::Tensor& pixels, const MaskPlan& plan) const;

  // Whole forward pass without gradients. Nothing may be thrown.
  MaeOutput forward(const at::Tensor& pixels, const MaskPlan& plan, Taps* taps = nullptr) const;

  // Training in two halves, for losses of the caller's own. Once the last attention of the decoder
  // has mixed the tokens only masked patches are computed, so that it is theirs that can be had.
  // Throws Error(usage) when nothing is masked. With EncoderTrace::token_weights all patches are
  // predicted, visible ones first, and may all be visible; nothing may be thrown.
  MaePrediction forward(const at::Tensor& pixels, const MaskPlan& plan, MaeTrace& trace) const;
  // Adds the gradients of all trained parameters for those of pred and tokens, either of which may
  // be undefined for none. Frees the trace's blocks as it goes. With dpixels: dpixels = that of the
  // pixels [B, C, H, W] fp32 as the encoder sees them, zero where a patch is masked.
  void backward(const at::Tensor& dpred, const at::Tensor& dtokens, MaeTrace& trace,
                at::Tensor* dpixels = nullptr);

  // Both with MAE's loss between: adds loss_scale * d loss / d parameter to every grad. Does not
  // wait for the model's device. dpixels = loss_scale * d loss / d pixels, for visible patches
  // through the encoder, for masked ones through the target.
  MaeLoss forward_backward(const at::Tensor& pixels, const MaskPlan& plan, double loss_scale = 1.0,
                           at::Tensor* dpixels = nullptr, const GradientsReady& ready = {},
                           const DecoderInputReader& reader = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sgmae
