// HPM's loss predictor (Wang et al. 2023, Hard Patches Mining, section 3.2): a decoder beside
// MAE's, of its size, that says for every patch how high its reconstruction loss is.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "sgmae/nn/config.h"
#include "sgmae/nn/decoder.h"
#include "sgmae/nn/parameter.h"

namespace sgmae {

class LossPredictor {
 public:
  // Of an autoencoder of that configuration. Weights drawn as MAE's decoder's from `seed`; without
  // one undefined, to be written over. Parameters: loss_predictor.blocks.0 …, .norm, .pred.
  LossPredictor(const MaeConfig& config, std::optional<std::uint64_t> seed);
  LossPredictor(LossPredictor&&) = default;

  const MaeConfig& config() const { return config_; }
  std::vector<Parameter>& parameters() { return parameters_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  Precision precision() const { return type_ == at::kBFloat16 ? Precision::bf16 : Precision::fp32; }
  void set_precision(Precision precision);
  void parameters_changed();
  void move_to(at::Device device);

  struct Trace {
    DecoderTrace decoder;
    StreamShape shape;
  };

  // Scores [B, n_last] fp32 of the last patches of every image of decoder_input (MaeTrace's). As
  // published the last layer gives a patch's p*p*C values, whose mean is the score; it is computed
  // as one product with the mean of that layer's rows. `trace` may be null.
  at::Tensor forward(const at::Tensor& decoder_input, std::int64_t batch, std::int64_t n_last,
                     Trace* trace) const;
  // Adds the gradients of all parameters for dscores; returns that of decoder_input.
  at::Tensor backward(const at::Tensor& dscores, Trace& trace);

 private:
  MaeConfig config_;
  at::ScalarType type_ = at::kFloat;
  std::vector<Parameter> parameters_;
  Decoder decoder_;
  Parameter *pred_weight_ = nullptr, *pred_bias_ = nullptr;  // [p*p*C, Dd], [p*p*C]
};

// A loss and its gradient in the scores.
struct ScoreLoss {
  at::Tensor value;    // [] fp32
  at::Tensor dscores;  // [B, n] fp32
};

// HPM, eq. 5: of scores and true losses [B, n], the cross-entropy of "patch i is harder than j" by
// the sign of their losses' difference with sigmoid(score_i - score_j) (1e-6 added in logarithms),
// mean over all pairs of the batch whose losses differ.
ScoreLoss relative_score_loss(const at::Tensor& scores, const at::Tensor& losses);
// Eq. 4: mean squared error to the losses, standardised within each image (variance + 1e-6).
ScoreLoss absolute_score_loss(const at::Tensor& scores, const at::Tensor& losses);

}  // namespace sgmae
