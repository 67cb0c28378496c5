#include "sgmae/contrast/moco.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <deque>
#include <numbers>
#include <optional>

#include "sgmae/base/error.h"
#include "sgmae/contrast/contrastive_loss.h"
#include "sgmae/contrast/projection_head.h"
#include "sgmae/nn/device.h"

namespace sgmae {
namespace {

void check_moco(const MocoConfig& c) {
  check_config(c.encoder);
  check(c.encoder.class_token && c.encoder.has_final_norm() && c.encoder.classes == 0,
        ExitCode::usage, "MoCo v3 needs an encoder with class token and final norm, and no head");
  check(c.hidden > 0 && c.features > 0, ExitCode::usage,
        "the heads of MoCo v3 need positive sizes, but have ", c.hidden, " and ", c.features);
  check(c.temperature > 0, ExitCode::usage, "the temperature must be positive, but is ",
        c.temperature);
}

// From MAE's first weights to MoCo v3's.
void begin_as_moco(std::vector<Parameter>& parameters) {
  for (Parameter& p : parameters) {
    at::Tensor& value = p.value;
    if (p.name == "pos_embed") {  // columns before rows there
      const std::int64_t half = value.size(2) / 2;
      value = at::cat({value.narrow(2, half, half), value.narrow(2, 0, half)}, 2);
    } else if (p.name == "cls_token") {  // N(0, 0.02) there
      value.mul_(1e-6 / 0.02);
    } else if (p.name.ends_with("attn.qkv.weight")) {  // one matrix of fan-out 3 D there, not D
      value.mul_(std::numbers::sqrt2);
    } else if (p.name == "patch_embed.proj.bias") {
      value.zero_();
    }
  }
}

// Encoder, projector and perhaps predictor, whose parameters lie in this order.
struct Network {
  std::vector<Parameter> parameters;
  std::deque<RunningStatistics> running;  // which nobody reads: norms take the batch's own
  Encoder encoder;
  std::size_t heads_begin = 0;
  std::optional<ProjectionHead> projector, predictor;

  Network(const MocoConfig& c, std::optional<std::uint64_t> seed, bool predicts) {
    constexpr std::size_t of_heads = 16;
    parameters.reserve(of_heads + 16 + 16 * static_cast<std::size_t>(c.encoder.size.depth));
    Initialiser init(parameters, seed);
    encoder.add_tokens(c.encoder, /*train_pos_embed=*/false, init);
    encoder.add_layers(init);
    if (seed) begin_as_moco(parameters);
    if (c.frozen_patches)
      for (Parameter& p : parameters)
        if (p.name.starts_with("patch_embed.")) p.grad = at::Tensor();
    heads_begin = parameters.size();
    const LayerMaker make(init, &running);
    projector.emplace("projector", std::vector{c.encoder.size.dim, c.hidden, c.hidden, c.features},
                      make);
    if (predicts)
      predictor.emplace("predictor", std::vector{c.features, c.hidden, c.features}, make);
  }

  void move_to(at::Device device) {
    move_parameters(parameters, device);
    for (RunningStatistics& one : running)
      one.mean = one.mean.to(device), one.var = one.var.to(device);
    encoder.parameters_changed();
  }

  // Class tokens [B, D] fp32, without a record for autograd.
  at::Tensor class_tokens(const at::Tensor& pixels, EncoderTrace* trace) const {
    const at::NoGradGuard no_grad;
    const VitConfig& c = encoder.config();
    const std::int64_t batch = pixels.size(0);
    return encoder.forward(pixels, whole_image(batch, c.n_patches(), encoder.device()), trace, {})
        .view({batch, -1, c.size.dim})
        .select(1, 0)
        .to(at::kFloat)
        .contiguous();
  }
};

}  // namespace

struct Moco::State {
  MocoConfig config;
  at::ScalarType type = at::kFloat;
  Network query, key;

  State(const MocoConfig& c, std::optional<std::uint64_t> seed)
      : config(c), query(c, seed, /*predicts=*/true), key(c, std::nullopt, /*predicts=*/false) {
    for (Parameter& p : key.parameters) {
      p.name = "momentum." + p.name;
      p.grad = at::Tensor();
    }
  }

  // Of one view each, of the class tokens of both.
  std::vector<at::Tensor> keys(const at::Tensor& pixels) const {
    const at::AutoGradMode batch_statistics(true);
    std::vector<at::Tensor> keys;
    for (const at::Tensor& tokens : key.class_tokens(pixels, nullptr).chunk(2))
      keys.push_back(key.projector->forward(tokens, type).detach());
    return keys;
  }
};

Moco::Moco(const MocoConfig& config, std::uint64_t seed) {
  check_moco(config);
  state_ = std::make_unique<State>(config, seed);
  flatten_gradients(state_->query.parameters);
  follow(0);
  parameters_changed();
}

std::vector<Parameter> Moco::parameters_of(const MocoConfig& config) {
  check_moco(config);
  State state(config, std::nullopt);
  std::vector<Parameter>& all = state.query.parameters;
  all.insert(all.end(), state.key.parameters.begin(), state.key.parameters.end());
  return std::move(all);
}

Moco::~Moco() = default;
Moco::Moco(Moco&&) noexcept = default;
Moco& Moco::operator=(Moco&&) noexcept = default;

const MocoConfig& Moco::config() const {
  return state_->config;
}
const Encoder& Moco::encoder() const {
  return state_->query.encoder;
}
std::vector<Parameter>& Moco::parameters() {
  return state_->query.parameters;
}

std::vector<Parameter> Moco::encoder_parameters() const {
  const Network& query = state_->query;
  return {query.parameters.begin(),
          query.parameters.begin() + static_cast<std::ptrdiff_t>(query.heads_begin)};
}

std::vector<Parameter> Moco::other_parameters() const {
  const Network& query = state_->query;
  std::vector<Parameter> others(
      query.parameters.begin() + static_cast<std::ptrdiff_t>(query.heads_begin),
      query.parameters.end());
  others.insert(others.end(), state_->key.parameters.begin(), state_->key.parameters.end());
  return others;
}

void Moco::set_precision(Precision precision) {
  state_->type = precision == Precision::bf16 ? at::kBFloat16 : at::kFloat;
  state_->query.encoder.set_precision(precision);
  state_->key.encoder.set_precision(precision);
}

void Moco::checkpoint_activations(bool yes) {
  state_->query.encoder.checkpoint_activations(yes);
}

void Moco::parameters_changed() {
  state_->query.encoder.parameters_changed();
  state_->key.encoder.parameters_changed();
}

void Moco::move_to(at::Device device) {
  state_->query.move_to(device);
  state_->key.move_to(device);
}

MocoLoss Moco::forward_backward(const at::Tensor& first, const at::Tensor& second,
                                double loss_scale, const GradientsReady& ready) {
  State& s = *state_;
  Network& query = s.query;
  // The encoder takes both views at once, since to it images are nothing to each other.
  const at::Device device = query.encoder.device();
  const at::Tensor pixels = at::cat({send(first, device), send(second, device)});
  const std::vector<at::Tensor> keys = s.keys(pixels);
  EncoderTrace trace;
  const at::Tensor tokens = query.class_tokens(pixels, &trace).requires_grad_();
  MocoLoss loss;
  {
    const at::AutoGradMode record(true);
    std::vector<at::Tensor> queries;
    for (const at::Tensor& view : tokens.chunk(2))
      queries.push_back(query.predictor->forward(query.projector->forward(view, s.type), s.type));
    const double t = s.config.temperature;
    const ContrastiveLoss one = contrastive_loss(queries[0], keys[1], t);
    const ContrastiveLoss other = contrastive_loss(queries[1], keys[0], t);
    const at::Tensor sum = one.mean.add(other.mean);
    torch::autograd::backward({sum.mul(loss_scale)}, {});
    loss = {sum.detach(), one.right.add(other.right).div_(2)};
  }
  if (ready) ready(std::span(query.parameters).subspan(query.heads_begin));
  const at::NoGradGuard no_grad;
  const VitConfig& c = s.config.encoder;
  const std::int64_t dim = c.size.dim;
  const at::Tensor dlatent =
      at::zeros({pixels.size(0), c.prefix_tokens() + c.n_patches(), dim}, trace.patches.options());
  dlatent.select(1, 0).copy_(tokens.grad());
  trace.gradients_ready = ready;
  query.encoder.backward(dlatent.view({-1, dim}), trace);
  return loss;
}

void Moco::follow(double momentum) {
  const at::NoGradGuard no_grad;
  std::vector<Parameter>& key = state_->key.parameters;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const at::Tensor& value = state_->query.parameters[i].value;
    if (momentum == 0)  // over what may be no number yet
      key[i].value.copy_(value);
    else
      key[i].value.lerp_(value, 1 - momentum);
  }
  state_->key.encoder.parameters_changed();
}

}  // namespace sgmae
