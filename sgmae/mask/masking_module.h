// CL-MAE's masking module (Madan et al. 2024, section 3): a small transformer that looks at all
// patches of an image and says how much of each to keep.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "sgmae/nn/config.h"
#include "sgmae/nn/decoder.h"
#include "sgmae/nn/parameter.h"

namespace sgmae {

// Five blocks of the encoder's width with four heads over the encoder's own patch tokens and a
// class token; a norm, a linear layer and a sigmoid turn the class token into a score for every
// patch. Parameters masking.cls_token, masking.blocks.0 …, masking.norm, masking.head.
class MaskingModule {
 public:
  static constexpr std::int64_t depth = 5, heads = 4;
  // Numbers that are trained beside an encoder of that configuration.
  static std::int64_t count(const MaeConfig& config);

  // For the encoder of that configuration. Throws Error(usage) where four heads do not divide its
  // width.
  MaskingModule(const MaeConfig& config, std::uint64_t seed);
  MaskingModule(MaskingModule&&) = default;

  std::vector<Parameter>& parameters() { return parameters_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  void set_precision(Precision precision);
  void parameters_changed();
  void move_to(at::Device device);

  struct Trace {
    StreamShape shape;
    DecoderTrace blocks;
    at::Tensor keep;
  };

  // tokens [B, N, D] fp32 with their positions -> scores to keep z [B, N] fp32 in 0 .. 1.
  at::Tensor forward(const at::Tensor& tokens, Trace& trace) const;
  // Adds the gradients of all parameters for dkeep [B, N]. Frees the trace's blocks as it goes.
  void backward(const at::Tensor& dkeep, Trace& trace);

 private:
  at::ScalarType type_ = at::kFloat;
  double layer_norm_eps_;
  std::vector<Parameter> parameters_;
  Parameter* cls_token_ = nullptr;
  Decoder blocks_;
  Linear head_;
};

// What is asked of scores z [B, N], each [] and differentiable.
struct KeepPenalties {
  at::Tensor gauss;  // mean of exp(-(z - 0.5)^2 / (2 * 0.12^2)) * 0.12 * sqrt(2 pi): z at 0 or 1
  at::Tensor kl;     // KL of (mean z, 1 - mean z) from (share, 1 - share), mean over images
  at::Tensor diversity;  // mean over pairs of images of exp(-0.1 |z_i - z_j|); 0 for one image
};
KeepPenalties keep_penalties(const at::Tensor& keep, double visible_share);

}  // namespace sgmae
