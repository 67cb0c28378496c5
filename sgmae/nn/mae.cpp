#include "sgmae/nn/mae.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include "sgmae/base/error.h"
#include "sgmae/nn/block.h"
#include "sgmae/nn/initialiser.h"
#include "sgmae/nn/patches.h"
#include "sgmae/nn/position_embedding.h"

namespace sgmae {
namespace {

struct DecoderTrace {
  std::vector<BlockTrace> blocks;  // the last block's MLP: masked rows only
  Normed norm;                     // masked rows only
};

}  // namespace

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
  // -> [B*n_masked, p*p*C]. Only masked patches enter the loss, so once the last block's attention
  // has mixed the tokens, only they are computed.
  at::Tensor predict_masked(const at::Tensor& latent, const MaskPlan& plan,
                            DecoderTrace& trace) const;
  // -> the gradient of the encoder's output.
  at::Tensor predict_masked_backward(const MaskPlan& plan, const at::Tensor& dpred,
                                     const at::Tensor& latent, DecoderTrace& trace);
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
  s.decoder_blocks = init.blocks("decoder_blocks.", config.decoder, config.mlp_ratio * dd);
  s.decoder_norm = init.layer_norm("decoder_norm", dd);
  s.decoder_pred = init.linear("decoder_pred", dd, config.patch_values());
  s.prepare_decoder();
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
  out.loss = reconstruction_loss(pixels, masked, plan.order, plan.n_visible, s.config.patch_size,
                                 s.config.norm_pix_loss, 0, nullptr)
                 .item<double>();
  return out;
}

double Mae::forward_backward(const at::Tensor& given_pixels, const MaskPlan& given_plan,
                             double loss_scale) {
  const at::NoGradGuard no_grad;
  State& s = *state_;
  const at::Tensor pixels = given_pixels.to(s.encoder.device(), /*non_blocking=*/true);
  const MaskPlan plan = plan_on(s.encoder.device(), given_plan);
  check(plan.n_visible < s.config.n_patches(), ExitCode::usage,
        "nothing is masked, so there is nothing to learn; raise mask_ratio");
  EncoderTrace encoder;
  DecoderTrace decoder;
  const at::Tensor latent = s.encoder.forward(pixels, plan, &encoder, nullptr);
  const at::Tensor pred = s.predict_masked(latent, plan, decoder);
  at::Tensor dpred;
  const at::Tensor loss =
      reconstruction_loss(pixels, pred, plan.order, plan.n_visible, s.config.patch_size,
                          s.config.norm_pix_loss, loss_scale, &dpred);
  s.encoder.backward(s.predict_masked_backward(plan, dpred, latent, decoder), encoder);
  return loss.item<double>();  // last, since it waits for the device
}

at::Tensor Mae::State::predict_masked(const at::Tensor& latent, const MaskPlan& plan,
                                      DecoderTrace& trace) const {
  const StreamShape shape = decoder_shape(plan.order.size(0));
  const auto masked = [&](const at::Tensor& x) {
    return masked_rows(x, plan.order, plan.n_visible, /*with_cls=*/true);
  };
  const std::size_t last = decoder_blocks.size() - 1;
  trace.blocks.resize(last + 1);
  Stream stream = decoder_input(latent, plan);
  for (std::size_t i = 0; i < last; ++i)
    block_forward(decoder_blocks[i], shape, stream, &trace.blocks[i], nullptr, {});
  attention_forward(decoder_blocks[last], shape, stream, &trace.blocks[last].attention, nullptr,
                    {});
  stream = {masked(stream.x), masked(stream.delta)};
  mlp_forward(decoder_blocks[last], masked_shape(plan), stream, &trace.blocks[last].mlp, nullptr,
              {});
  trace.norm = decoder_norm.forward(stream.x, stream.delta, config.layer_norm_eps, type);
  return decoder_pred.forward(trace.norm.y);
}

at::Tensor Mae::State::predict_masked_backward(const MaskPlan& plan, const at::Tensor& dpred,
                                               const at::Tensor& latent, DecoderTrace& trace) {
  const StreamShape shape = decoder_shape(plan.order.size(0));
  decoder_pred.add_gradients(dpred, trace.norm.y);
  at::Tensor dmasked = at::zeros_like(trace.norm.sum);
  decoder_norm.backward(decoder_pred.input_gradient(dpred), trace.norm, dmasked);
  const std::size_t last = decoder_blocks.size() - 1;
  mlp_backward(decoder_blocks[last], masked_shape(plan), trace.blocks[last].mlp, dmasked);
  at::Tensor dx = scatter_masked_rows(dmasked, plan.order, plan.n_visible);
  attention_backward(decoder_blocks[last], shape, trace.blocks[last].attention, dx);
  trace.blocks[last] = {};  // its memory serves the next block
  for (std::size_t i = last; i-- > 0;) {
    block_backward(decoder_blocks[i], shape, trace.blocks[i], dx);
    trace.blocks[i] = {};
  }
  const at::Tensor dembedded =
      restore_tokens_backward(dx, plan.order, plan.n_visible, mask_token->grad).to(type);
  decoder_embed.add_gradients(dembedded, latent);
  return decoder_embed.input_gradient(dembedded);
}

}  // namespace sgmae
