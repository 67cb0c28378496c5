// A vision transformer of any family, with or without a classification head. Parameters carry MAE's
// and timm's names: blocks.i.attn.qkv.weight, blocks.i.ls1.gamma, reg_token, norm, fc_norm, head.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "sgmae/nn/config.h"
#include "sgmae/nn/encoder.h"
#include "sgmae/nn/parameter.h"
#include "sgmae/nn/taps.h"

namespace sgmae {

// What the backward pass of a classifier needs of a forward pass.
struct VitTrace {
  EncoderTrace encoder;  // its drop_path and gradients_ready are set by the caller
  Normed fc_norm;        // Pooling::mean
  at::Tensor pooled;     // [B, D] fp32, what the head sees
};

class Vit {
 public:
  // Weights drawn as in MAE from `seed`; the head's as in its fine-tuning, N(0, 2e-5) and bias 0.
  // All are trained, positions too, except the statistics of a batch_norm_head. Without a seed the
  // weights are undefined, to be written over.
  Vit(const VitConfig& config, std::optional<std::uint64_t> seed);
  // Those that such a model has, without values and without memory for gradients.
  static std::vector<Parameter> parameters_of(const VitConfig& config);
  ~Vit();
  Vit(Vit&&) noexcept;
  Vit& operator=(Vit&&) noexcept;

  const VitConfig& config() const;
  const Encoder& encoder() const;
  Encoder& encoder();  // its forward and backward, for training
  std::vector<Parameter>& parameters();
  const std::vector<Parameter>& parameters() const;
  void set_precision(Precision precision);
  void checkpoint_activations(bool yes);  // Encoder's
  void parameters_changed();              // call after writing to parameter values from outside
  void move_to(at::Device device);        // Mae::move_to

  // Encoder::encode.
  at::Tensor encode(const at::Tensor& pixels, Taps* taps = nullptr, bool taps_only = false) const {
    return encoder().encode(pixels, taps, taps_only);
  }

  // Results of these lie on the device of what is given, wherever the model computes.

  // What the head sees of tokens, as encode() gives them, fp32 -> [B, D] (Pooling). Throws
  // Error(usage) where that is a class token and there is none.
  at::Tensor pooled(const at::Tensor& tokens) const;

  // What the head makes of pooled() [B, D] -> class scores [B, classes] fp32. Throws Error(usage)
  // when there is no head.
  at::Tensor scores(const at::Tensor& pooled) const;

  // All of it: scores of pixels.
  at::Tensor logits(const at::Tensor& pixels) const;

  // Training of a model with a plain head, on whole images. Class scores [B, classes] fp32, on the
  // model's device; then the gradients of all parameters are added for dlogits, the gradient of
  // those scores. dpixels as in Encoder::backward.
  at::Tensor forward(const at::Tensor& pixels, VitTrace& trace) const;
  void backward(const at::Tensor& dlogits, VitTrace& trace, at::Tensor* dpixels = nullptr);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sgmae
