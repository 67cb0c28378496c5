#include "sgmae/nn/vit.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "sgmae/base/error.h"
#include "sgmae/nn/initialiser.h"

namespace sgmae {

struct Vit::State {
  State(const VitConfig& config, std::optional<std::uint64_t> seed);

  std::vector<Parameter> parameters;
  Encoder encoder;
  LayerNorm fc_norm;
  Parameter *running_mean = nullptr, *running_var = nullptr;
  Parameter *head_weight = nullptr, *head_bias = nullptr;
};

namespace {

constexpr double batch_norm_eps = 1e-6;  // MAE's linear probe

}  // namespace

Vit::State::State(const VitConfig& config, std::optional<std::uint64_t> seed) {
  check_config(config);
  const std::int64_t dim = config.size.dim;
  parameters.reserve(static_cast<std::size_t>(11 + 16 * config.size.depth));
  Initialiser init(parameters, seed);
  encoder.add_tokens(config, /*train_pos_embed=*/true, init);
  encoder.add_layers(init);
  if (config.pooling == Pooling::mean) fc_norm = init.layer_norm("fc_norm", dim);
  if (config.classes > 0 && config.batch_norm_head) {
    running_mean = init.fixed("head.0.running_mean", at::zeros({dim}, at::kFloat));
    running_var = init.fixed("head.0.running_var", at::ones({dim}, at::kFloat));
  }
  if (config.classes > 0) {
    const std::string head = config.batch_norm_head ? "head.1" : "head";
    head_weight = init.normal(head + ".weight", {config.classes, dim}, 2e-5);
    head_bias = init.constant(head + ".bias", {config.classes}, 0);
  }
}

std::vector<Parameter> Vit::parameters_of(const VitConfig& config) {
  return State(config, std::nullopt).parameters;
}

Vit::Vit(const VitConfig& config, std::optional<std::uint64_t> seed)
    : state_(std::make_unique<State>(config, seed)) {
  flatten_gradients(state_->parameters);
}

Vit::~Vit() = default;
Vit::Vit(Vit&&) noexcept = default;
Vit& Vit::operator=(Vit&&) noexcept = default;

const VitConfig& Vit::config() const {
  return state_->encoder.config();
}
const Encoder& Vit::encoder() const {
  return state_->encoder;
}
Encoder& Vit::encoder() {
  return state_->encoder;
}
std::vector<Parameter>& Vit::parameters() {
  return state_->parameters;
}
const std::vector<Parameter>& Vit::parameters() const {
  return state_->parameters;
}

void Vit::checkpoint_activations(bool yes) {
  state_->encoder.checkpoint_activations(yes);
}

void Vit::set_precision(Precision precision) {
  state_->encoder.set_precision(precision);
}

void Vit::parameters_changed() {
  state_->encoder.parameters_changed();
}

void Vit::move_to(at::Device device) {
  move_parameters(state_->parameters, device);
  parameters_changed();
}

at::Tensor Vit::pooled(const at::Tensor& tokens) const {
  const at::NoGradGuard no_grad;
  check(config().class_token || config().pooling != Pooling::cls, ExitCode::usage,
        "this model has no class token; use the mean of its patches");
  if (config().pooling == Pooling::cls) return tokens.select(1, 0);
  const at::Tensor mean = tokens.narrow(1, config().class_tokens(), config().n_patches()).mean({1});
  if (config().pooling == Pooling::normed_mean) return mean;
  return state_->fc_norm
      .forward(mean.to(encoder().device()), {}, config().layer_norm_eps, at::kFloat)
      .y.to(tokens.device());
}

at::Tensor Vit::scores(const at::Tensor& pooled) const {
  const at::NoGradGuard no_grad;
  const State& s = *state_;
  check(s.head_weight, ExitCode::usage,
        "this model has no classification head; use a fine-tuned checkpoint or a linear probe");
  at::Tensor x = pooled.to(encoder().device());
  if (s.running_mean)
    x = x.sub(s.running_mean->value).div(s.running_var->value.add(batch_norm_eps).sqrt());
  return at::linear(x, s.head_weight->value, s.head_bias->value).to(pooled.device());
}

at::Tensor Vit::logits(const at::Tensor& pixels) const {
  const at::Tensor there = pixels.to(encoder().device(), /*non_blocking=*/true);
  return scores(pooled(encode(there))).to(pixels.device());
}

at::Tensor Vit::forward(const at::Tensor& pixels, VitTrace& trace) const {
  const at::NoGradGuard no_grad;
  const State& s = *state_;
  SGMAE_ASSERT(s.head_weight && !s.running_mean && config().pooling != Pooling::normed_mean);
  const std::int64_t batch = pixels.size(0), n = config().n_patches();
  const at::Tensor tokens =
      s.encoder.forward(pixels, whole_image(batch, n, encoder().device()), &trace.encoder, nullptr)
          .view({batch, -1, config().size.dim});
  if (config().pooling == Pooling::cls) {
    trace.pooled = tokens.select(1, 0).to(at::kFloat);
  } else {
    const at::Tensor mean = tokens.narrow(1, config().prefix_tokens(), n).mean({1});
    trace.fc_norm = s.fc_norm.forward(mean, {}, config().layer_norm_eps, at::kFloat);
    trace.pooled = trace.fc_norm.y;
  }
  return at::linear(trace.pooled, s.head_weight->value, s.head_bias->value);
}

void Vit::backward(const at::Tensor& given_dlogits, VitTrace& trace, at::Tensor* dpixels) {
  const at::NoGradGuard no_grad;
  State& s = *state_;
  const at::Tensor dlogits = given_dlogits.to(encoder().device(), /*non_blocking=*/true);
  const std::int64_t batch = dlogits.size(0), n = config().n_patches(), dim = config().size.dim;
  s.head_weight->grad.add_(dlogits.t().mm(trace.pooled));
  s.head_bias->grad.add_(dlogits.sum(0));
  announce(trace.encoder.gradients_ready, {s.head_weight, s.head_bias});
  const at::Tensor dpooled = dlogits.mm(s.head_weight->value);
  // Without a final norm the gradient is that of the fp32 residual stream.
  const bool cls = config().pooling == Pooling::cls, normed = config().has_final_norm();
  at::Tensor dtokens =
      at::zeros({batch, config().prefix_tokens() + n, dim},
                dpooled.options().dtype(normed ? trace.encoder.patches.scalar_type() : at::kFloat));
  if (cls) {
    dtokens.select(1, 0).copy_(dpooled);
  } else {
    at::Tensor dmean = at::zeros_like(dpooled);
    s.fc_norm.backward(dpooled, trace.fc_norm, dmean);
    announce(trace.encoder.gradients_ready, {s.fc_norm.weight, s.fc_norm.bias});
    dtokens.narrow(1, config().prefix_tokens(), n)
        .copy_(dmean.div(static_cast<double>(n)).unsqueeze(1).expand({batch, n, dim}));
  }
  s.encoder.backward(dtokens.view({-1, dim}), trace.encoder, dpixels);
}

}  // namespace sgmae
