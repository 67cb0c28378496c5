#include "sgmae/nn/mae.h"

#include <ATen/core/grad_mode.h>

#include <memory>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/nn/block.h"
#include "sgmae/nn/initialiser.h"
#include "sgmae/nn/patches.h"
#include "sgmae/nn/position_embedding.h"

namespace sgmae {
struct Mae::State {
  MaeConfig config;
  std::vector<Parameter> parameters;
  at::ScalarType type = at::kFloat;

  Encoder encoder;
  Parameter *mask_token, *decoder_pos_embed;
  Linear decoder_embed;
  Decoder decoder;
  Linear decoder_pred;

  void prepare_decoder() {
    decoder_embed.prepare(type);
    decoder.prepare(type);
    decoder_pred.prepare(type);
  }

  StreamShape decoder_shape(std::int64_t batch, std::int64_t tokens) const {
    return {batch, tokens, config.decoder.dim, config.layer_norm_eps, type};
  }
  // In training: the class token, visible and masked patches.
  StreamShape decoder_shape(const MaskPlan& plan) const {
    return decoder_shape(plan.order.size(0), 1 + plan.n_visible + plan.n_masked());
  }

  at::Tensor decoder_input(const at::Tensor& latent, const MaskPlan& plan) const {
    return append_mask_tokens(decoder_embed.forward(latent), plan.order, plan.masked(),
                              mask_token->value, decoder_pos_embed->value);
  }
};

Mae::Mae(const MaeConfig& config, std::optional<std::uint64_t> seed)
    : state_(std::make_unique<State>()) {
  check_config(config);
  State& s = *state_;
  s.config = config;
  const std::int64_t d = config.encoder.dim, dd = config.decoder.dim;
  s.parameters.reserve(
      static_cast<std::size_t>(14 + 12 * (config.encoder.depth + config.decoder.depth)));
  Initialiser init(s.parameters, seed);

  s.encoder.add_tokens(encoder_config(config), /*train_pos_embed=*/false, init);
  s.mask_token = init.normal("mask_token", {1, 1, dd}, 0.02);
  s.decoder_pos_embed =
      init.fixed("decoder_pos_embed",
                 sincos_position_embedding(config.grid_height(), config.grid_width(), dd));
  s.encoder.add_layers(init);
  s.decoder_embed = init.linear("decoder_embed", d, dd);
  s.decoder.blocks = init.blocks("decoder_blocks.", config.decoder, config.decoder_mlp());
  s.decoder.norm = init.layer_norm("decoder_norm", dd);
  s.decoder_pred = init.linear("decoder_pred", dd, config.patch_values());
  s.prepare_decoder();
  flatten_gradients(s.parameters);
}

Mae::~Mae() = default;
Mae::Mae(Mae&&) noexcept = default;
Mae& Mae::operator=(Mae&&) noexcept = default;

const MaeConfig& Mae::config() const {
  return state_->config;
}
const Encoder& Mae::encoder() const {
  return state_->encoder;
}
std::vector<Parameter>& Mae::parameters() {
  return state_->parameters;
}
const std::vector<Parameter>& Mae::parameters() const {
  return state_->parameters;
}

void Mae::set_precision(Precision precision) {
  state_->type = precision == Precision::bf16 ? at::kBFloat16 : at::kFloat;
  state_->encoder.set_precision(precision);
  state_->prepare_decoder();
}

void Mae::checkpoint_activations(bool yes) {
  state_->encoder.checkpoint_activations(yes);
}

void Mae::parameters_changed() {
  state_->encoder.parameters_changed();
  state_->prepare_decoder();
}

void Mae::move_to(at::Device device) {
  move_parameters(state_->parameters, device);
  parameters_changed();
}

at::Tensor Mae::decoder_input(const at::Tensor& pixels, const MaskPlan& given_plan) const {
  const at::NoGradGuard no_grad;
  const MaskPlan plan = plan_on(encoder().device(), given_plan);
  return state_->decoder_input(encoder().forward(pixels, plan, nullptr, nullptr), plan);
}

MaeOutput Mae::forward(const at::Tensor& given_pixels, const MaskPlan& given_plan,
                       Taps* taps) const {
  const at::NoGradGuard no_grad;
  const State& s = *state_;
  const at::Tensor pixels = given_pixels.to(s.encoder.device(), /*non_blocking=*/true);
  const MaskPlan plan = plan_on(s.encoder.device(), given_plan);
  SGMAE_ASSERT(plan.n_thrown == 0);
  const at::Tensor latent = s.encoder.forward(pixels, plan, nullptr, taps);
  const std::int64_t batch = pixels.size(0), n = s.config.n_patches();
  Stream stream{restore_tokens(s.decoder_embed.forward(latent), plan.order, plan.n_visible,
                               s.mask_token->value, s.decoder_pos_embed->value),
                {}};
  for (std::size_t i = 0; i < s.decoder.blocks.size(); ++i)
    block_forward(s.decoder.blocks[i], s.decoder_shape(batch, 1 + n), stream, nullptr, taps,
                  str("decoder.", i, "."));
  const Normed normed =
      s.decoder.norm.forward(stream.x, stream.delta, s.config.layer_norm_eps, s.type);
  const at::Tensor pred = s.decoder_pred.forward(normed.y)
                              .view({batch, 1 + n, s.config.patch_values()})
                              .narrow(1, 1, n)
                              .to(at::kFloat)
                              .contiguous();
  const at::Device back = given_pixels.device();
  MaeOutput out;
  out.latent = latent.to(back, at::kFloat).view({batch, 1 + plan.n_visible, s.config.encoder.dim});
  out.pred = pred.to(back);
  const at::Tensor masked = plan.masked();
  const MaeLoss loss =
      reconstruction_loss(pixels, rows_at(pred.view({batch * n, -1}), masked), masked,
                          s.config.patch_size, s.config.norm_pix_loss, 0, nullptr);
  out.loss = loss.mean.item<double>();
  out.patch_loss = loss.per_patch.to(back);
  return out;
}

MaePrediction Mae::forward(const at::Tensor& pixels, const MaskPlan& given_plan,
                           MaeTrace& trace) const {
  const at::NoGradGuard no_grad;
  const State& s = *state_;
  const MaskPlan plan = plan_on(s.encoder.device(), given_plan);
  const std::int64_t batch = plan.order.size(0), n_masked = plan.n_masked();
  const bool weighted = trace.encoder.token_weights.defined();
  SGMAE_ASSERT(!weighted || plan.n_thrown == 0);
  const std::int64_t n_last = weighted ? plan.order.size(1) : n_masked;
  check(n_last > 0, ExitCode::usage,
        "nothing is masked, so there is nothing to learn; raise mask_ratio");
  trace.latent = s.encoder.forward(pixels, plan, &trace.encoder, nullptr);

  trace.decoder_input = s.decoder_input(trace.latent, plan);
  const at::Tensor tokens = s.decoder.forward(s.decoder_shape(plan), trace.decoder_input, n_last,
                                              s.encoder.checkpoints_activations(), &trace.decoder);
  return {s.decoder_pred.forward(tokens).view({batch, n_last, -1}),
          tokens.view({batch, n_last, -1})};
}

void Mae::backward(const at::Tensor& dpred, const at::Tensor& dtokens, MaeTrace& trace,
                   at::Tensor* dpixels) {
  const at::NoGradGuard no_grad;
  State& s = *state_;
  SGMAE_ASSERT(dpred.defined() || dtokens.defined());
  const GradientsReady& ready = trace.encoder.gradients_ready;
  const MaskPlan& plan = trace.encoder.plan;
  const StreamShape shape = s.decoder_shape(plan);
  const auto activations = [&](const at::Tensor& d) {
    return d.to(s.type).reshape({-1, d.size(-1)});
  };
  at::Tensor dnormed;
  if (dpred.defined()) {
    const at::Tensor d = activations(dpred);
    s.decoder_pred.add_gradients(d, trace.decoder.norm.y);
    dnormed = s.decoder_pred.input_gradient(d);
  }
  if (dtokens.defined())
    dnormed = dnormed.defined() ? dnormed.add(activations(dtokens)) : activations(dtokens);
  announce(ready, {s.decoder_pred.weight, s.decoder_pred.bias});
  at::Tensor dx = s.decoder.backward(shape, dnormed, trace.decoder, ready);
  if (trace.decoder_input_gradient)
    if (const at::Tensor d = trace.decoder_input_gradient(); d.defined()) dx.add_(d.view_as(dx));
  trace.decoder_input = at::Tensor();
  at::Tensor dmask_token = gradient_memory(*s.mask_token);
  const at::Tensor dembedded =
      append_mask_tokens_backward(dx, shape.batch, plan.n_masked(), dmask_token).to(s.type);
  s.decoder_embed.add_gradients(dembedded, trace.latent);
  announce(ready, {s.mask_token, s.decoder_embed.weight, s.decoder_embed.bias});
  s.encoder.backward(s.decoder_embed.input_gradient(dembedded), trace.encoder, dpixels);
}

MaeLoss Mae::forward_backward(const at::Tensor& given_pixels, const MaskPlan& plan,
                              double loss_scale, at::Tensor* dpixels, const GradientsReady& ready,
                              const DecoderInputReader& reader) {
  const at::NoGradGuard no_grad;
  State& s = *state_;
  const at::Tensor pixels = given_pixels.to(s.encoder.device(), /*non_blocking=*/true);
  MaeTrace trace;
  trace.decoder.memory = std::make_unique<LentGradients>(s.encoder.blocks());
  trace.encoder.gradients_ready = ready;
  const at::Tensor pred = forward(pixels, plan, trace).pred.view({-1, s.config.patch_values()});
  const at::Tensor masked = trace.encoder.plan.masked();
  at::Tensor dpred;
  MaeLoss loss = reconstruction_loss(pixels, pred, masked, s.config.patch_size,
                                     s.config.norm_pix_loss, loss_scale, &dpred);
  if (reader) trace.decoder_input_gradient = [&] { return reader(trace.decoder_input, loss); };
  backward(dpred, {}, trace, dpixels);
  if (dpixels)
    dpixels->add_(reconstruction_target_backward(pixels, pred, masked, s.config.patch_size,
                                                 s.config.norm_pix_loss, loss_scale));
  return loss;
}

}  // namespace sgmae
