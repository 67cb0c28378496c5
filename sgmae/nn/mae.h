// The masked autoencoder: ViT encoder on the visible patches, ViT decoder on all, loss on the
// masked. Forward and backward are written out; no autograd graph is built.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/nn/config.h"
#include "sgmae/nn/encoder.h"
#include "sgmae/nn/mask_plan.h"
#include "sgmae/nn/parameter.h"
#include "sgmae/nn/taps.h"

namespace sgmae {

struct MaeOutput {    // on the device of the pixels
  at::Tensor latent;  // [B, 1+n_visible, D] after the final norm
  at::Tensor pred;    // [B, N, p*p*C] (pixel order row, column, channel)
  double loss = 0;    // mean over masked patches and pixels
};

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
  void set_precision(Precision precision);
  void parameters_changed();  // call after writing to parameter values from outside
  // Has the model compute on `device` from now on. Its parameters' tensors are then others: move it
  // before an optimizer is made of them.
  void move_to(at::Device device);

  // Pixels and plans may lie on any device, and come to the model's.

  // Encoder::encode.
  at::Tensor encode(const at::Tensor& pixels, Taps* taps = nullptr, bool taps_only = false) const {
    return encoder().encode(pixels, taps, taps_only);
  }

  // Whole forward pass without gradients.
  MaeOutput forward(const at::Tensor& pixels, const MaskPlan& plan, Taps* taps = nullptr) const;

  // Forward and backward: adds loss_scale * d loss / d parameter to every grad; returns the loss.
  double forward_backward(const at::Tensor& pixels, const MaskPlan& plan, double loss_scale = 1.0);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sgmae
