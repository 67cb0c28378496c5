#include "sgmae/nn/mae.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "sgmae/base/error.h"
#include "sgmae/base/rng.h"
#include "sgmae/nn/block.h"
#include "sgmae/nn/patches.h"
#include "sgmae/nn/position_embedding.h"

namespace sgmae {
namespace {

// Draws the initial weights of MAE (method.md 2.1), one stream per tensor.
class Initialiser {
 public:
  Initialiser(std::vector<Parameter>& parameters, std::uint64_t seed)
      : parameters_(parameters), seed_(seed) {}

  Parameter* constant(const std::string& name, at::IntArrayRef shape, float value) {
    at::Tensor tensor = at::empty(shape, at::kFloat);
    tensor.fill_(value);
    return add(name, tensor, true);
  }
  Parameter* fixed(const std::string& name, at::Tensor value) {
    return add(name, std::move(value), false);
  }
  Parameter* uniform(const std::string& name, at::IntArrayRef shape, double bound) {
    return draw(name, shape, [bound](Rng& rng) { return rng.uniform(-bound, bound); });
  }
  // Xavier-uniform on the [fan_out, fan_in] view.
  Parameter* xavier(const std::string& name, at::IntArrayRef shape, std::int64_t fan_in,
                    std::int64_t fan_out) {
    return uniform(name, shape, std::sqrt(6.0 / static_cast<double>(fan_in + fan_out)));
  }
  Parameter* normal(const std::string& name, at::IntArrayRef shape, double deviation) {
    return draw(name, shape, [deviation](Rng& rng) { return deviation * rng.normal(); });
  }

  Linear linear(const std::string& name, std::int64_t in, std::int64_t out) {
    Linear layer;
    layer.weight = xavier(name + ".weight", {out, in}, in, out);
    layer.bias = constant(name + ".bias", {out}, 0);
    return layer;
  }
  LayerNorm layer_norm(const std::string& name, std::int64_t dim) {
    LayerNorm norm;
    norm.weight = constant(name + ".weight", {dim}, 1);
    norm.bias = constant(name + ".bias", {dim}, 0);
    return norm;
  }
  std::vector<Block> blocks(const std::string& prefix, const VitSize& size, std::int64_t ratio) {
    std::vector<Block> blocks;
    for (std::int64_t i = 0; i < size.depth; ++i) {
      const std::string name = str(prefix, i, ".");
      Block block;
      block.norm1 = layer_norm(name + "norm1", size.dim);
      block.qkv = linear(name + "attn.qkv", size.dim, 3 * size.dim);
      block.proj = linear(name + "attn.proj", size.dim, size.dim);
      block.norm2 = layer_norm(name + "norm2", size.dim);
      block.fc1 = linear(name + "mlp.fc1", size.dim, ratio * size.dim);
      block.fc2 = linear(name + "mlp.fc2", ratio * size.dim, size.dim);
      block.heads = size.heads;
      blocks.push_back(std::move(block));
    }
    return blocks;
  }

 private:
  Parameter* add(const std::string& name, at::Tensor value, bool trained) {
    // Pointers to parameters are kept: the vector must never move.
    SGMAE_ASSERT(parameters_.size() < parameters_.capacity());
    at::Tensor grad = trained ? at::zeros_like(value) : at::Tensor();
    parameters_.push_back({name, std::move(value), std::move(grad)});
    return &parameters_.back();
  }
  template <class Draw>
  Parameter* draw(const std::string& name, at::IntArrayRef shape, Draw draw) {
    at::Tensor tensor = at::empty(shape, at::kFloat);
    Rng rng(seed_, 0, parameters_.size(), Purpose::initialise);
    float* values = tensor.data_ptr<float>();
    for (std::int64_t i = 0; i < tensor.numel(); ++i) values[i] = static_cast<float>(draw(rng));
    return add(name, tensor, true);
  }

  std::vector<Parameter>& parameters_;
  std::uint64_t seed_;
};

struct EncoderTrace {
  at::Tensor patches;  // [B*n_visible, C*p*p] activations
  std::vector<BlockTrace> blocks;
  Normed norm;
};

struct DecoderTrace {
  std::vector<BlockTrace> blocks;
  Normed norm;  // of the rows that were predicted
};

}  // namespace

struct Mae::State {
  MaeConfig config;
  std::vector<Parameter> parameters;
  at::ScalarType type = at::kFloat;

  Parameter *cls_token, *pos_embed, *mask_token, *decoder_pos_embed;
  Linear patch_embed;
  std::vector<Block> blocks;
  LayerNorm norm;
  Linear decoder_embed;
  std::vector<Block> decoder_blocks;
  LayerNorm decoder_norm;
  Linear decoder_pred;

  void prepare() {
    patch_embed.prepare(type);
    decoder_embed.prepare(type);
    decoder_pred.prepare(type);
    for (std::vector<Block>* list : {&blocks, &decoder_blocks})
      for (Block& block : *list)
        for (Linear* layer : {&block.qkv, &block.proj, &block.fc1, &block.fc2})
          layer->prepare(type);
  }

  StreamShape encoder_shape(std::int64_t batch, std::int64_t n_visible) const {
    return {batch, 1 + n_visible, config.encoder.dim, config.layer_norm_eps, type};
  }
  StreamShape decoder_shape(std::int64_t batch) const {
    return {batch, 1 + config.n_patches(), config.decoder.dim, config.layer_norm_eps, type};
  }

  // Blocks of the encoder on the patches order[:, :n_visible]; stops after `depth` blocks.
  Stream encode_blocks(const at::Tensor& pixels, const at::Tensor& order, std::int64_t n_visible,
                       std::size_t depth, EncoderTrace* trace, Taps* taps) const;
  at::Tensor encoder_output(const at::Tensor& pixels, const MaskPlan& plan, EncoderTrace* trace,
                            Taps* taps) const;  // [B*(1+n_visible), D] activations
  Stream decode_blocks(const at::Tensor& latent, const MaskPlan& plan, DecoderTrace* trace,
                       Taps* taps) const;
  void backward(const MaskPlan& plan, const at::Tensor& dpred, const at::Tensor& latent,
                EncoderTrace& encoder, DecoderTrace& decoder);
};

Mae::Mae(const MaeConfig& config, std::uint64_t seed) : state_(std::make_unique<State>()) {
  check_config(config);
  State& s = *state_;
  s.config = config;
  const std::int64_t d = config.encoder.dim, dd = config.decoder.dim;
  s.parameters.reserve(
      static_cast<std::size_t>(14 + 12 * (config.encoder.depth + config.decoder.depth)));
  Initialiser init(s.parameters, seed);

  s.cls_token = init.normal("cls_token", {1, 1, d}, 0.02);
  s.pos_embed = init.fixed("pos_embed",
                           sincos_position_embedding(config.grid_height(), config.grid_width(), d));
  s.mask_token = init.normal("mask_token", {1, 1, dd}, 0.02);
  s.decoder_pos_embed =
      init.fixed("decoder_pos_embed",
                 sincos_position_embedding(config.grid_height(), config.grid_width(), dd));
  const std::int64_t fan_in = config.patch_values();
  s.patch_embed.weight =
      init.xavier("patch_embed.proj.weight",
                  {d, config.channels, config.patch_size, config.patch_size}, fan_in, d);
  // MAE leaves this bias at the convolution's default, U(+-1/sqrt(fan_in)).
  s.patch_embed.bias =
      init.uniform("patch_embed.proj.bias", {d}, 1.0 / std::sqrt(static_cast<double>(fan_in)));
  s.blocks = init.blocks("blocks.", config.encoder, config.mlp_ratio);
  s.norm = init.layer_norm("norm", d);
  s.decoder_embed = init.linear("decoder_embed", d, dd);
  s.decoder_blocks = init.blocks("decoder_blocks.", config.decoder, config.mlp_ratio);
  s.decoder_norm = init.layer_norm("decoder_norm", dd);
  s.decoder_pred = init.linear("decoder_pred", dd, config.patch_values());
  s.prepare();
}

Mae::~Mae() = default;
Mae::Mae(Mae&&) noexcept = default;
Mae& Mae::operator=(Mae&&) noexcept = default;

const MaeConfig& Mae::config() const {
  return state_->config;
}
std::vector<Parameter>& Mae::parameters() {
  return state_->parameters;
}
const std::vector<Parameter>& Mae::parameters() const {
  return state_->parameters;
}

void Mae::set_precision(Precision precision) {
  state_->type = precision == Precision::bf16 ? at::kBFloat16 : at::kFloat;
  parameters_changed();
}

void Mae::parameters_changed() {
  state_->prepare();
}

Stream Mae::State::encode_blocks(const at::Tensor& pixels, const at::Tensor& order,
                                 std::int64_t n_visible, std::size_t depth, EncoderTrace* trace,
                                 Taps* taps) const {
  const std::int64_t batch = pixels.size(0);
  const StreamShape shape = encoder_shape(batch, n_visible);
  const at::Tensor patches = gather_patches(pixels, order, n_visible, config.patch_size, type);
  Stream stream{embed_tokens(patch_embed.forward(patches), order, n_visible, cls_token->value,
                             pos_embed->value),
                {}};
  if (trace) {
    trace->patches = patches;
    trace->blocks.resize(depth);
  }
  for (std::size_t i = 0; i < depth; ++i)
    block_forward(blocks[i], shape, stream, trace ? &trace->blocks[i] : nullptr, taps,
                  str("encoder.", i, "."));
  return stream;
}

at::Tensor Mae::State::encoder_output(const at::Tensor& pixels, const MaskPlan& plan,
                                      EncoderTrace* trace, Taps* taps) const {
  const Stream stream =
      encode_blocks(pixels, plan.order, plan.n_visible, blocks.size(), trace, taps);
  Normed normed = norm.forward(stream.x, stream.delta, config.layer_norm_eps, type);
  const at::Tensor latent = normed.y;
  if (trace) trace->norm = std::move(normed);
  return latent;
}

Stream Mae::State::decode_blocks(const at::Tensor& latent, const MaskPlan& plan,
                                 DecoderTrace* trace, Taps* taps) const {
  const std::int64_t batch = plan.order.size(0);
  const StreamShape shape = decoder_shape(batch);
  Stream stream{restore_tokens(decoder_embed.forward(latent), plan.order, plan.n_visible,
                               mask_token->value, decoder_pos_embed->value),
                {}};
  if (trace) trace->blocks.resize(decoder_blocks.size());
  for (std::size_t i = 0; i < decoder_blocks.size(); ++i)
    block_forward(decoder_blocks[i], shape, stream, trace ? &trace->blocks[i] : nullptr, taps,
                  str("decoder.", i, "."));
  return stream;
}

namespace {

void check_pixels(const MaeConfig& config, const at::Tensor& pixels) {
  check(pixels.dim() == 4 && pixels.size(1) == config.channels && pixels.size(2) == config.height &&
            pixels.size(3) == config.width,
        ExitCode::usage, "the model takes images of ", config.channels, "x", config.height, "x",
        config.width, " (channels x height x width), given are ",
        pixels.dim() == 4 ? str(pixels.size(1), "x", pixels.size(2), "x", pixels.size(3))
                          : str(pixels.dim(), "-dimensional pixels"));
}

// Patches in place: nothing is masked and the order is that of the image.
MaskPlan whole_image(std::int64_t batch, std::int64_t n_patches) {
  at::Tensor order = at::empty({batch, n_patches}, at::kLong);
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t i = 0; i < n_patches; ++i)
      order.data_ptr<std::int64_t>()[b * n_patches + i] = i;
  return {order, n_patches};
}

// How many encoder blocks must run for the taps.
std::size_t depth_of(const Taps& taps, std::size_t depth) {
  while (depth > 0) {
    const std::string prefix = str("encoder.", depth - 1, ".");
    const auto found = taps.wanted().lower_bound(prefix);
    if (found != taps.wanted().end() && found->starts_with(prefix)) break;
    --depth;
  }
  return depth;
}

}  // namespace

at::Tensor Mae::encode(const at::Tensor& pixels, Taps* taps, bool taps_only) const {
  const at::NoGradGuard no_grad;
  const State& s = *state_;
  check_pixels(s.config, pixels);
  const std::int64_t batch = pixels.size(0), n = s.config.n_patches();
  const MaskPlan plan = whole_image(batch, n);
  if (taps_only) {
    SGMAE_ASSERT(taps);
    s.encode_blocks(pixels, plan.order, n, depth_of(*taps, s.blocks.size()), nullptr, taps);
    return {};
  }
  return s.encoder_output(pixels, plan, nullptr, taps)
      .to(at::kFloat)
      .view({batch, 1 + n, s.config.encoder.dim});
}

MaeOutput Mae::forward(const at::Tensor& pixels, const MaskPlan& plan, Taps* taps) const {
  const at::NoGradGuard no_grad;
  const State& s = *state_;
  check_pixels(s.config, pixels);
  const std::int64_t batch = pixels.size(0), n = s.config.n_patches();
  const at::Tensor latent = s.encoder_output(pixels, plan, nullptr, taps);
  const Stream stream = s.decode_blocks(latent, plan, nullptr, taps);
  const Normed normed =
      s.decoder_norm.forward(stream.x, stream.delta, s.config.layer_norm_eps, s.type);
  const at::Tensor pred = s.decoder_pred.forward(normed.y)
                              .view({batch, 1 + n, s.config.patch_values()})
                              .narrow(1, 1, n)
                              .to(at::kFloat)
                              .contiguous();
  MaeOutput out{latent.to(at::kFloat).view({batch, 1 + plan.n_visible, s.config.encoder.dim}),
                pred};
  const at::Tensor masked =
      masked_rows(pred.view({batch * n, -1}), plan.order, plan.n_visible, /*with_cls=*/false);
  out.loss = reconstruction_loss(pixels, masked, plan.order, plan.n_visible, s.config.patch_size,
                                 s.config.norm_pix_loss, 0, nullptr);
  return out;
}

double Mae::forward_backward(const at::Tensor& pixels, const MaskPlan& plan, double loss_scale) {
  const at::NoGradGuard no_grad;
  State& s = *state_;
  check_pixels(s.config, pixels);
  check(plan.n_visible < s.config.n_patches(), ExitCode::usage,
        "nothing is masked, so there is nothing to learn; raise mask_ratio");
  EncoderTrace encoder;
  DecoderTrace decoder;
  const at::Tensor latent = s.encoder_output(pixels, plan, &encoder, nullptr);
  const Stream stream = s.decode_blocks(latent, plan, &decoder, nullptr);
  // Only masked patches enter the loss, so only they are normalised and predicted.
  decoder.norm = s.decoder_norm.forward(
      masked_rows(stream.x, plan.order, plan.n_visible, /*with_cls=*/true),
      masked_rows(stream.delta, plan.order, plan.n_visible, /*with_cls=*/true),
      s.config.layer_norm_eps, s.type);
  const at::Tensor pred = s.decoder_pred.forward(decoder.norm.y);
  at::Tensor dpred;
  const double loss =
      reconstruction_loss(pixels, pred, plan.order, plan.n_visible, s.config.patch_size,
                          s.config.norm_pix_loss, loss_scale, &dpred);
  s.backward(plan, dpred, latent, encoder, decoder);
  return loss;
}

void Mae::State::backward(const MaskPlan& plan, const at::Tensor& dpred, const at::Tensor& latent,
                          EncoderTrace& encoder, DecoderTrace& decoder) {
  const std::int64_t batch = plan.order.size(0);

  decoder_pred.add_gradients(dpred, decoder.norm.y);
  at::Tensor dmasked = at::zeros_like(decoder.norm.sum);
  decoder_norm.backward(decoder_pred.input_gradient(dpred), decoder.norm, dmasked);
  at::Tensor dx = scatter_masked_rows(dmasked, plan.order, plan.n_visible);
  for (std::size_t i = decoder_blocks.size(); i-- > 0;) {
    block_backward(decoder_blocks[i], decoder_shape(batch), decoder.blocks[i], dx);
    decoder.blocks[i] = {};  // its memory serves the next block
  }

  const at::Tensor dembedded =
      restore_tokens_backward(dx, plan.order, plan.n_visible, mask_token->grad).to(type);
  decoder_embed.add_gradients(dembedded, latent);
  dx = at::zeros_like(encoder.norm.sum);
  norm.backward(decoder_embed.input_gradient(dembedded), encoder.norm, dx);
  for (std::size_t i = blocks.size(); i-- > 0;) {
    block_backward(blocks[i], encoder_shape(batch, plan.n_visible), encoder.blocks[i], dx);
    encoder.blocks[i] = {};
  }
  const at::Tensor dpatches = embed_tokens_backward(dx, batch, cls_token->grad).to(type);
  patch_embed.add_gradients(dpatches, encoder.patches);
}

}  // namespace sgmae
