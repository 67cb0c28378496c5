#include "sgmae/nn/mae.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

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
  std::vector<Block> decoder_blocks;
  LayerNorm decoder_norm;
  Linear decoder_pred;

  void prepare_decoder() {
    decoder_embed.prepare(type);
    for (Block& block : decoder_blocks) block.prepare(type);
    decoder_pred.prepare(type);
  }

  StreamShape decoder_shape(std::int64_t batch) const {
    return {batch, 1 + config.n_patches(), config.decoder.dim, config.layer_norm_eps, type};
  }

  StreamShape masked_shape(const MaskPlan& plan) const {
    return {plan.order.size(0), config.n_patches() - plan.n_visible, config.decoder.dim,
            config.layer_norm_eps, type};
  }

  Stream decoder_input(const at::Tensor& latent, const MaskPlan& plan) const;
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
  s.decoder_blocks = init.blocks("decoder_blocks.", config.decoder, config.decoder_mlp());
  s.decoder_norm = init.layer_norm("decoder_norm", dd);
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

Stream Mae::State::decoder_input(const at::Tensor& latent, const MaskPlan& plan) const {
  return {restore_tokens(decoder_embed.forward(latent), plan.order, plan.n_visible,
                         mask_token->value, decoder_pos_embed->value),
          {}};
}

MaeOutput Mae::forward(const at::Tensor& given_pixels, const MaskPlan& given_plan,
                       Taps* taps) const {
  const at::NoGradGuard no_grad;
  const State& s = *state_;
  const at::Tensor pixels = given_pixels.to(s.encoder.device(), /*non_blocking=*/true);
  const MaskPlan plan = plan_on(s.encoder.device(), given_plan);
  const at::Tensor latent = s.encoder.forward(pixels, plan, nullptr, taps);
  const std::int64_t batch = pixels.size(0), n = s.config.n_patches();
  Stream stream = s.decoder_input(latent, plan);
  for (std::size_t i = 0; i < s.decoder_blocks.size(); ++i)
    block_forward(s.decoder_blocks[i], s.decoder_shape(batch), stream, nullptr, taps,
                  str("decoder.", i, "."));
  const Normed normed =
      s.decoder_norm.forward(stream.x, stream.delta, s.config.layer_norm_eps, s.type);
  const at::Tensor pred = s.decoder_pred.forward(normed.y)
                              .view({batch, 1 + n, s.config.patch_values()})
                              .narrow(1, 1, n)
                              .to(at::kFloat)
                              .contiguous();
  const at::Device back = given_pixels.device();
  MaeOutput out{latent.to(back, at::kFloat).view({batch, 1 + plan.n_visible, s.config.encoder.dim}),
                pred.to(back)};
  const at::Tensor masked =
      masked_rows(pred.view({batch * n, -1}), plan.order, plan.n_visible, /*with_cls=*/false);
  const MaeLoss loss = reconstruction_loss(pixels, masked, plan.order, plan.n_visible,
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
  const std::int64_t batch = plan.order.size(0), masked = s.config.n_patches() - plan.n_visible;
  check(masked > 0, ExitCode::usage,
        "nothing is masked, so there is nothing to learn; raise mask_ratio");
  trace.latent = s.encoder.forward(pixels, plan, &trace.encoder, nullptr);

  const StreamShape shape = s.decoder_shape(batch);
  const std::size_t last = s.decoder_blocks.size() - 1;
  trace.decoder_blocks.resize(last + 1);
  Stream stream = s.decoder_input(trace.latent, plan);
  for (std::size_t i = 0; i < last; ++i) {
    BlockTrace* kept = &trace.decoder_blocks[i];
    if (s.encoder.checkpoints_activations()) *std::exchange(kept, nullptr) = checkpoint(stream, {});
    block_forward(s.decoder_blocks[i], shape, stream, kept, nullptr, {});
  }
  BlockTrace& last_trace = trace.decoder_blocks[last];
  attention_forward(s.decoder_blocks[last], shape, stream, &last_trace.attention, nullptr, {});
  const auto masked_of = [&](const at::Tensor& x) {
    return masked_rows(x, plan.order, plan.n_visible, /*with_cls=*/true);
  };
  stream = {masked_of(stream.x), masked_of(stream.delta)};
  mlp_forward(s.decoder_blocks[last], s.masked_shape(plan), stream, &last_trace.mlp, nullptr, {});
  trace.decoder_norm =
      s.decoder_norm.forward(stream.x, stream.delta, s.config.layer_norm_eps, s.type);
  const at::Tensor tokens = trace.decoder_norm.y;
  return {s.decoder_pred.forward(tokens).view({batch, masked, -1}),
          tokens.view({batch, masked, -1})};
}

void Mae::backward(const at::Tensor& dpred, const at::Tensor& dtokens, MaeTrace& trace,
                   at::Tensor* dpixels) {
  const at::NoGradGuard no_grad;
  State& s = *state_;
  SGMAE_ASSERT(dpred.defined() || dtokens.defined());
  const GradientsReady& ready = trace.encoder.gradients_ready;
  const MaskPlan& plan = trace.encoder.plan;
  const StreamShape shape = s.decoder_shape(plan.order.size(0));
  const auto activations = [&](const at::Tensor& d) {
    return d.to(s.type).reshape({-1, d.size(-1)});
  };
  at::Tensor dnormed;
  if (dpred.defined()) {
    const at::Tensor d = activations(dpred);
    s.decoder_pred.add_gradients(d, trace.decoder_norm.y);
    dnormed = s.decoder_pred.input_gradient(d);
  }
  if (dtokens.defined())
    dnormed = dnormed.defined() ? dnormed.add(activations(dtokens)) : activations(dtokens);
  at::Tensor dmasked = at::zeros_like(trace.decoder_norm.sum);
  s.decoder_norm.backward(dnormed, trace.decoder_norm, dmasked);
  announce(ready, {s.decoder_pred.weight, s.decoder_pred.bias, s.decoder_norm.weight,
                   s.decoder_norm.bias});

  const std::size_t last = s.decoder_blocks.size() - 1;
  mlp_backward(s.decoder_blocks[last], s.masked_shape(plan), trace.decoder_blocks[last].mlp,
               dmasked);
  at::Tensor dx = scatter_masked_rows(dmasked, plan.order, plan.n_visible);
  attention_backward(s.decoder_blocks[last], shape, trace.decoder_blocks[last].attention, dx);
  for (std::size_t i = last + 1; i-- > 0;) {
    if (i < last) block_backward(s.decoder_blocks[i], shape, trace.decoder_blocks[i], dx);
    trace.decoder_blocks[i] = {};  // its memory serves the next block
    if (ready) ready(s.decoder_blocks[i].parameters);
  }
  const at::Tensor dembedded =
      restore_tokens_backward(dx, plan.order, plan.n_visible, s.mask_token->grad).to(s.type);
  s.decoder_embed.add_gradients(dembedded, trace.latent);
  announce(ready, {s.mask_token, s.decoder_embed.weight, s.decoder_embed.bias});
  s.encoder.backward(s.decoder_embed.input_gradient(dembedded), trace.encoder, dpixels);
}

MaeLoss Mae::forward_backward(const at::Tensor& given_pixels, const MaskPlan& plan,
                              double loss_scale, at::Tensor* dpixels, const GradientsReady& ready) {
  const at::NoGradGuard no_grad;
  const State& s = *state_;
  const at::Tensor pixels = given_pixels.to(s.encoder.device(), /*non_blocking=*/true);
  MaeTrace trace;
  trace.encoder.gradients_ready = ready;
  const at::Tensor pred = forward(pixels, plan, trace).pred.view({-1, s.config.patch_values()});
  const auto [order, n_visible] = trace.encoder.plan;
  at::Tensor dpred;
  MaeLoss loss = reconstruction_loss(pixels, pred, order, n_visible, s.config.patch_size,
                                     s.config.norm_pix_loss, loss_scale, &dpred);
  backward(dpred, {}, trace, dpixels);
  if (dpixels)
    dpixels->add_(reconstruction_target_backward(
        pixels, pred, order, n_visible, s.config.patch_size, s.config.norm_pix_loss, loss_scale));
  return loss;
}

}  // namespace sgmae
