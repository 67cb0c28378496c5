#include "sgmae/mask/loss_predictor.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/var_mean.h>

#include "sgmae/nn/initialiser.h"

namespace sgmae {

LossPredictor::LossPredictor(const MaeConfig& config, std::optional<std::uint64_t> seed)
    : config_(config) {
  parameters_.reserve(static_cast<std::size_t>(4 + 12 * config.decoder.depth));
  Initialiser init(parameters_, seed);
  decoder_.blocks = init.blocks("loss_predictor.blocks.", config.decoder, config.decoder_mlp());
  decoder_.norm = init.layer_norm("loss_predictor.norm", config.decoder.dim);
  const Linear pred = init.linear("loss_predictor.pred", config.decoder.dim, config.patch_values());
  pred_weight_ = pred.weight;
  pred_bias_ = pred.bias;
  decoder_.prepare(type_);
  flatten_gradients(parameters_);
}

void LossPredictor::set_precision(Precision precision) {
  type_ = precision == Precision::bf16 ? at::kBFloat16 : at::kFloat;
  decoder_.prepare(type_);
}

void LossPredictor::parameters_changed() {
  decoder_.prepare(type_);
}

void LossPredictor::move_to(at::Device device) {
  move_parameters(parameters_, device);
  parameters_changed();
}

at::Tensor LossPredictor::forward(const at::Tensor& decoder_input, std::int64_t batch,
                                  std::int64_t n_last, Trace* trace) const {
  const at::NoGradGuard no_grad;
  const StreamShape shape{batch, decoder_input.size(0) / batch, config_.decoder.dim,
                          config_.layer_norm_eps, type_};
  if (trace) trace->shape = shape;
  const at::Tensor normed = decoder_.forward(shape, decoder_input, n_last, /*checkpointed=*/false,
                                             trace ? &trace->decoder : nullptr);
  return normed.to(at::kFloat)
      .matmul(pred_weight_->value.mean({0}))
      .add(pred_bias_->value.mean())
      .view({batch, n_last});
}

at::Tensor LossPredictor::backward(const at::Tensor& dscores, Trace& trace) {
  const at::NoGradGuard no_grad;
  const double values = static_cast<double>(config_.patch_values());
  const at::Tensor d = dscores.reshape({-1});
  // Every row of the last layer has the same share in the mean.
  pred_weight_->grad.add_(trace.decoder.norm.y.to(at::kFloat).t().matmul(d).div_(values));
  pred_weight_->cleared = false;
  pred_bias_->grad.add_(d.sum().div_(values));
  const at::Tensor dnormed = d.unsqueeze(1).mul(pred_weight_->value.mean({0})).to(type_);
  return decoder_.backward(trace.shape, dnormed, trace.decoder, {});
}

ScoreLoss relative_score_loss(const at::Tensor& scores, const at::Tensor& losses) {
  constexpr double eps = 1e-6;
  const at::Tensor s = at::sigmoid(scores.unsqueeze(2).sub(scores.unsqueeze(1)));  // [B, i, j]
  const at::Tensor harder = losses.unsqueeze(2).gt(losses.unsqueeze(1)).to(at::kFloat);
  const at::Tensor easier = harder.transpose(1, 2);
  const at::Tensor pairs = harder.sum().mul_(2).clamp_min_(1);
  const at::Tensor value = harder.mul(s.add(eps).log())
                               .add(easier.mul(s.neg().add(1 + eps).log()))
                               .sum()
                               .neg()
                               .div(pairs);
  const at::Tensor slope = s.mul(s.neg().add(1));  // of the sigmoid
  const at::Tensor d = easier.div(s.neg().add(1 + eps)).sub(harder.div(s.add(eps))).mul_(slope);
  return {value, d.sum(2).sub_(d.sum(1)).div_(pairs)};
}

ScoreLoss absolute_score_loss(const at::Tensor& scores, const at::Tensor& losses) {
  const auto [variance, mean] =
      at::var_mean(losses, at::IntArrayRef{1}, /*unbiased=*/true, /*keepdim=*/true);
  const at::Tensor difference = scores.sub(losses.sub(mean).div(variance.add(1e-6).sqrt()));
  return {difference.square().mean(),
          difference.mul(2.0 / static_cast<double>(difference.numel()))};
}

}  // namespace sgmae
