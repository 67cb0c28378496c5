#include "sgmae/segment/segmenter.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <deque>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/base/rng.h"
#include "sgmae/nn/device.h"
#include "sgmae/parallel/process_group.h"
#include "sgmae/segment/linear_segment_head.h"
#include "sgmae/segment/pixel_loss.h"
#include "sgmae/segment/uper_head.h"

namespace sgmae {

struct Segmenter::State {
  SegmenterConfig config;
  std::vector<Parameter> parameters;
  std::deque<RunningStatistics> running;
  Encoder encoder;
  std::size_t heads_begin = 0;  // behind the encoder's
  at::ScalarType type = at::kFloat;
  std::optional<SegmentNeck> neck;
  std::optional<UperHead> uper;
  std::optional<AuxiliaryHead> auxiliary;
  std::optional<LinearSegmentHead> linear;

  State(const SegmenterConfig& config, std::optional<std::uint64_t> seed);

  std::vector<at::Tensor> maps(const at::Tensor& pixels, EncoderTrace* trace) const;
};

namespace {

// Many parameters at most: 16 a block, and those of the heads.
std::size_t most_parameters(const SegmenterConfig& c) {
  return 64 + 16 * static_cast<std::size_t>(c.backbone.size.depth) + 3 * c.pool_scales.size();
}

// What channels of each image are multiplied by: 0, or more to make up for those. [B, C, 1, 1].
// One stream for the images of all processes, so that a batch has the same in one or several.
at::Tensor kept_channels(std::int64_t batch, std::int64_t channels, double dropout,
                         const SegmentDraw& draw) {
  Rng rng(draw.seed, draw.epoch, draw.batch, Purpose::dropout);
  for (std::int64_t i = processes().rank() * batch * channels; i > 0; --i) rng.uniform();
  at::Tensor kept = at::empty({batch, channels, 1, 1});
  float* const values = kept.data_ptr<float>();
  const auto factor = static_cast<float>(1 / (1 - dropout));
  for (std::int64_t i = 0; i < batch * channels; ++i)
    values[i] = rng.uniform() < dropout ? 0.0f : factor;
  return kept;
}

}  // namespace

Segmenter::State::State(const SegmenterConfig& c, std::optional<std::uint64_t> seed) : config(c) {
  check_config(config);
  parameters.reserve(most_parameters(config));
  Initialiser init(parameters, seed);
  encoder.add_tokens(config.backbone, /*train_pos_embed=*/true, init);
  encoder.add_layers(init);
  for (Parameter& p : parameters)  // of models that get it here; others' comes from a file
    if (p.name.ends_with(".gamma")) p.value.fill_(1);
  if (config.frozen_encoder)
    for (Parameter& p : parameters) p.grad = at::Tensor();
  heads_begin = parameters.size();
  const LayerMaker make(init, &running);
  if (config.head == SegmentHead::linear) {
    linear.emplace(config, make);
  } else {
    neck.emplace(config.backbone.size.dim, make);
    uper.emplace(config, make);
    if (config.auxiliary_weight > 0) auxiliary.emplace(config, make);
  }
}

std::vector<Parameter> Segmenter::parameters_of(const SegmenterConfig& config) {
  return State(config, std::nullopt).parameters;
}

Segmenter::Segmenter(const SegmenterConfig& config, std::optional<std::uint64_t> seed)
    : state_(std::make_unique<State>(config, seed)) {
  flatten_gradients(state_->parameters);
}

Segmenter::~Segmenter() = default;
Segmenter::Segmenter(Segmenter&&) noexcept = default;
Segmenter& Segmenter::operator=(Segmenter&&) noexcept = default;

const SegmenterConfig& Segmenter::config() const {
  return state_->config;
}
const Encoder& Segmenter::encoder() const {
  return state_->encoder;
}
std::vector<Parameter>& Segmenter::parameters() {
  return state_->parameters;
}
const std::vector<Parameter>& Segmenter::parameters() const {
  return state_->parameters;
}

NamedTensors Segmenter::statistics() const {
  NamedTensors tensors;
  for (const RunningStatistics& one : state_->running) {
    tensors.emplace_back(one.name + ".running_mean", one.mean);
    tensors.emplace_back(one.name + ".running_var", one.var);
    tensors.emplace_back(one.name + ".num_batches_tracked", one.batches);
  }
  return tensors;
}

void Segmenter::set_precision(Precision precision) {
  state_->type = precision == Precision::bf16 ? at::kBFloat16 : at::kFloat;
  state_->encoder.set_precision(precision);
}

void Segmenter::checkpoint_activations(bool yes) {
  state_->encoder.checkpoint_activations(yes);
}

void Segmenter::parameters_changed() {
  state_->encoder.parameters_changed();
}

void Segmenter::move_to(at::Device device) {
  move_parameters(state_->parameters, device);
  for (RunningStatistics& one : state_->running)
    one.mean = one.mean.to(device), one.var = one.var.to(device);
  parameters_changed();
}

// The taps' maps [B, D, rows, columns] fp32, without a class token.
std::vector<at::Tensor> Segmenter::State::maps(const at::Tensor& pixels,
                                               EncoderTrace* trace) const {
  const VitConfig& vit = config.backbone;
  const std::int64_t rows = pixels.size(2) / vit.patch_size, cols = pixels.size(3) / vit.patch_size;
  std::vector<at::Tensor> maps = encoder.forward_features(pixels, config.taps, trace);
  for (at::Tensor& map : maps)
    map = map.narrow(1, vit.prefix_tokens(), rows * cols)
              .unflatten(1, {rows, cols})
              .permute({0, 3, 1, 2});
  return maps;
}

SegmentationLosses Segmenter::forward_backward(const at::Tensor& pixels, const at::Tensor& labels,
                                               std::vector<DropPath> drop_path,
                                               const SegmentDraw& draw, double loss_scale,
                                               const GradientsReady& ready) {
  State& s = *state_;
  EncoderTrace trace;
  trace.drop_path = std::move(drop_path);
  const bool frozen = s.config.frozen_encoder;
  std::vector<at::Tensor> maps = s.maps(pixels, frozen ? nullptr : &trace);
  for (at::Tensor& map : maps) map = map.detach().requires_grad_(!frozen);
  SegmentationLosses losses;
  {
    const at::AutoGradMode record(true);
    PixelLoss decode;
    at::Tensor total;
    if (s.linear) {
      decode = pixel_loss(s.linear->logits(maps, s.type), labels);
      total = decode.loss;
    } else {
      const std::vector<at::Tensor> levels = s.neck->forward(maps, s.type);
      at::Tensor features = s.uper->features(levels, s.type);
      if (s.config.dropout > 0)
        features = features.mul(
            send(kept_channels(features.size(0), features.size(1), s.config.dropout, draw),
                 features.device())
                .to(s.type));
      decode = pixel_loss(s.uper->logits(features, s.type), labels);
      total = decode.loss;
      if (s.auxiliary) {
        const at::Tensor& level = levels[static_cast<std::size_t>(s.config.auxiliary_level)];
        losses.auxiliary = pixel_loss(s.auxiliary->logits(level, s.type), labels).loss;
        total = total.add(losses.auxiliary, s.config.auxiliary_weight);
      }
    }
    torch::autograd::backward({total.mul(loss_scale)}, {});
    losses.decode = decode.loss.detach();
    losses.accuracy = decode.accuracy;
    losses.total = total.detach();
    losses.auxiliary = losses.auxiliary.defined() ? losses.auxiliary.detach()
                                                  : at::zeros({}, losses.total.options());
  }
  if (ready) ready(std::span(s.parameters).subspan(s.heads_begin));
  if (frozen) return losses;
  std::vector<at::Tensor> dfeatures;
  for (at::Tensor& map : maps) {
    dfeatures.push_back(at::constant_pad_nd(map.grad().permute({0, 2, 3, 1}).flatten(1, 2),
                                            {0, 0, s.config.backbone.prefix_tokens(), 0}));
    map = at::Tensor();
  }
  trace.gradients_ready = ready;
  s.encoder.backward_features(dfeatures, trace);
  return losses;
}

at::Tensor Segmenter::logits(const at::Tensor& pixels) const {
  const at::NoGradGuard no_grad;
  const State& s = *state_;
  const std::vector<at::Tensor> maps = s.maps(pixels, nullptr);
  const at::Tensor logits =
      s.linear ? s.linear->logits(maps, s.type)
               : s.uper->logits(s.uper->features(s.neck->forward(maps, s.type), s.type), s.type);
  return logits.to(at::kFloat);
}

}  // namespace sgmae
