#include "sgmae/detect/mask_rcnn.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/detect/proposals.h"
#include "sgmae/detect/pyramid.h"
#include "sgmae/detect/roi_heads.h"
#include "sgmae/nn/device.h"

namespace sgmae {

struct MaskRcnn::State {
  MaskRcnnConfig config;
  std::vector<Parameter> parameters;
  Encoder encoder;
  std::size_t heads_begin = 0;  // behind the encoder's
  at::ScalarType type = at::kFloat;
  std::optional<FeaturePyramid> pyramid;
  std::optional<ProposalNetwork> proposal_network;
  std::optional<BoxHead> box_head;
  std::optional<MaskHead> mask_head;

  State(const MaskRcnnConfig& config, std::optional<std::uint64_t> seed);

  std::int64_t patch() const { return config.backbone.patch_size; }
  std::int64_t last_block() const { return config.backbone.size.depth - 1; }

  at::Tensor encode(const at::Tensor& pixels, EncoderTrace* trace) const;
  AnchorScores anchor_scores(const std::vector<at::Tensor>& levels) const {
    return proposal_network->forward(levels, patch(), config.proposals.anchors, type);
  }
  at::Tensor pooled(const std::vector<at::Tensor>& levels, const at::Tensor& boxes,
                    std::int64_t cells) const {
    return pool_boxes(levels, boxes, patch(), cells, config.rois.samples_of_cell);
  }
  DetectionLosses losses(std::vector<DetectionExample>& batch,
                         const std::vector<at::Tensor>& maps) const;
};

namespace {

// Many parameters at most: 16 a block, and those of the heads.
std::size_t most_parameters(const MaskRcnnConfig& c) {
  return static_cast<std::size_t>(64 + 16 * c.backbone.size.depth + 2 * c.proposal_convs +
                                  3 * (c.box_convs + c.mask_convs));
}

// [C, H, W] -> [1, C, H', W'], filled up to whole patches.
at::Tensor whole_patches(const at::Tensor& pixels, std::int64_t patch) {
  const auto missing = [&](std::int64_t side) { return (patch - side % patch) % patch; };
  const std::int64_t down = missing(pixels.size(1)), right = missing(pixels.size(2));
  return (down + right > 0 ? at::constant_pad_nd(pixels, {0, right, 0, down}) : pixels)
      .unsqueeze(0)
      .contiguous();
}

}  // namespace

at::Tensor DetectionLosses::total() const {
  return objectness.add(proposal_box).add_(classification).add_(box).add_(mask);
}

MaskRcnn::State::State(const MaskRcnnConfig& c, std::optional<std::uint64_t> seed) : config(c) {
  check_config(config);
  parameters.reserve(most_parameters(config));
  Initialiser init(parameters, seed);
  encoder.add_tokens(config.backbone, /*train_pos_embed=*/true, init);
  encoder.add_layers(init);
  heads_begin = parameters.size();
  const LayerMaker make(init);
  pyramid.emplace(config.backbone.size.dim, config.channels, make);
  proposal_network.emplace(config.channels, config.proposal_convs,
                           config.proposals.anchors.ratios.size(), make);
  box_head.emplace(config, make);
  if (config.masks) mask_head.emplace(config, make);
}

std::vector<Parameter> MaskRcnn::parameters_of(const MaskRcnnConfig& config) {
  return State(config, std::nullopt).parameters;
}

MaskRcnn::MaskRcnn(const MaskRcnnConfig& config, std::optional<std::uint64_t> seed)
    : state_(std::make_unique<State>(config, seed)) {
  flatten_gradients(state_->parameters);
}

MaskRcnn::~MaskRcnn() = default;
MaskRcnn::MaskRcnn(MaskRcnn&&) noexcept = default;
MaskRcnn& MaskRcnn::operator=(MaskRcnn&&) noexcept = default;

const MaskRcnnConfig& MaskRcnn::config() const {
  return state_->config;
}
const Encoder& MaskRcnn::encoder() const {
  return state_->encoder;
}
std::vector<Parameter>& MaskRcnn::parameters() {
  return state_->parameters;
}
const std::vector<Parameter>& MaskRcnn::parameters() const {
  return state_->parameters;
}

void MaskRcnn::set_precision(Precision precision) {
  state_->type = precision == Precision::bf16 ? at::kBFloat16 : at::kFloat;
  state_->encoder.set_precision(precision);
}

void MaskRcnn::checkpoint_activations(bool yes) {
  state_->encoder.checkpoint_activations(yes);
}

void MaskRcnn::parameters_changed() {
  state_->encoder.parameters_changed();
}

void MaskRcnn::move_to(at::Device device) {
  move_parameters(state_->parameters, device);
  parameters_changed();
}

// The map [1, D, rows, columns] behind the last block, fp32.
at::Tensor MaskRcnn::State::encode(const at::Tensor& pixels, EncoderTrace* trace) const {
  const at::Tensor whole = whole_patches(pixels, patch());
  return encoder.forward_features(whole, {last_block()}, trace)
      .front()
      .view({1, whole.size(2) / patch(), whole.size(3) / patch(), config.backbone.size.dim})
      .permute({0, 3, 1, 2});
}

DetectionLosses MaskRcnn::State::losses(std::vector<DetectionExample>& batch,
                                        const std::vector<at::Tensor>& maps) const {
  const at::Device device = encoder.device();
  std::vector<at::Tensor> box_inputs, mask_inputs, labels, box_targets, mask_labels, mask_target;
  DetectionLosses sums;
  std::int64_t anchors_drawn = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const DetectionTargets& targets = batch[i].targets;
    const at::Tensor objects = send(targets.boxes, device), crowds = send(targets.crowds, device);
    const std::int64_t height = batch[i].pixels.size(1), width = batch[i].pixels.size(2);
    const std::vector<at::Tensor> pyramid_levels = pyramid->forward(maps[i], type);
    const AnchorScores scores = anchor_scores(pyramid_levels);
    const ProposalLoss loss =
        proposal_loss(scores, objects, crowds, config.proposals, batch[i].draw);
    sums.objectness = i == 0 ? loss.objectness : sums.objectness.add(loss.objectness);
    sums.proposal_box = i == 0 ? loss.box : sums.proposal_box.add(loss.box);
    anchors_drawn += loss.anchors;

    const TrainingBoxes chosen = training_boxes(
        proposals(scores, height, width, config.proposals, /*training=*/true), objects,
        send(targets.labels, device), crowds, config.classes, config.rois, batch[i].draw);
    const std::int64_t positives = chosen.objects.size(0);
    const at::Tensor positive_boxes = chosen.boxes.narrow(0, 0, positives);
    box_inputs.push_back(pooled(pyramid_levels, chosen.boxes, config.rois.box_cells));
    labels.push_back(chosen.labels);
    box_targets.push_back(
        config.rois.coding.encode(objects.index_select(0, chosen.objects), positive_boxes));
    if (!mask_head) continue;
    std::vector<const InstanceMask*> masks;
    std::vector<std::int64_t> known;  // positives whose object has a mask
    const at::Tensor of = chosen.objects.cpu();
    for (std::int64_t n = 0; n < positives; ++n) {
      const InstanceMask& mask =
          targets.masks[static_cast<std::size_t>(of.data_ptr<std::int64_t>()[n])];
      if (mask.inside.empty()) continue;
      masks.push_back(&mask);
      known.push_back(n);
    }
    const at::Tensor which = send(at::tensor(known, at::kLong), device);
    const at::Tensor mask_boxes = positive_boxes.index_select(0, which);
    mask_inputs.push_back(pooled(pyramid_levels, mask_boxes, config.rois.mask_cells));
    mask_labels.push_back(chosen.labels.index_select(0, which));
    mask_target.push_back(
        send(mask_targets(masks, mask_boxes, height, width, 2 * config.rois.mask_cells), device));
  }
  const double drawn = static_cast<double>(std::max<std::int64_t>(anchors_drawn, 1));
  sums.objectness = sums.objectness.div(drawn);
  sums.proposal_box = sums.proposal_box.div(drawn);
  const BoxLoss boxes = box_loss(box_head->forward(at::cat(box_inputs), type), at::cat(labels),
                                 at::cat(box_targets), config.rois);
  sums.classification = boxes.classification;
  sums.box = boxes.box;
  sums.mask = mask_head ? mask_loss(mask_head->forward(at::cat(mask_inputs), type),
                                    at::cat(mask_labels), at::cat(mask_target))
                        : at::zeros({}, sums.box.options().requires_grad(false));
  return sums;
}

DetectionLosses MaskRcnn::forward_backward(std::vector<DetectionExample>& batch, double loss_scale,
                                           const GradientsReady& ready) {
  State& s = *state_;
  std::vector<EncoderTrace> traces(batch.size());
  std::vector<at::Tensor> maps;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    traces[i].drop_path = batch[i].drop_path;
    maps.push_back(s.encode(batch[i].pixels, &traces[i]).detach().requires_grad_());
  }
  DetectionLosses losses;
  {
    const at::AutoGradMode record(true);
    losses = s.losses(batch, maps);
    torch::autograd::backward({losses.total().mul(loss_scale)}, {});
  }
  if (ready) ready(std::span(s.parameters).subspan(s.heads_begin));
  for (std::size_t i = batch.size(); i-- > 0;) {
    if (i == 0) traces[i].gradients_ready = ready;  // the last to add to them
    const at::Tensor dmap = maps[i].grad().permute({0, 2, 3, 1}).flatten(1, 2);
    maps[i] = at::Tensor();
    s.encoder.backward_features({dmap}, traces[i]);
    traces[i] = {};
  }
  for (at::Tensor* loss : {&losses.objectness, &losses.proposal_box, &losses.classification,
                           &losses.box, &losses.mask})
    *loss = loss->detach();
  return losses;
}

DetectionLosses MaskRcnn::losses(std::vector<DetectionExample>& batch) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> maps;
  for (const DetectionExample& example : batch)
    maps.push_back(state_->encode(example.pixels, nullptr));
  return state_->losses(batch, maps);
}

Detections MaskRcnn::detect(const at::Tensor& pixels) const {
  const at::NoGradGuard no_grad;
  const State& s = *state_;
  const std::int64_t height = pixels.size(1), width = pixels.size(2);
  const std::vector<at::Tensor> levels = s.pyramid->forward(s.encode(pixels, nullptr), s.type);
  const at::Tensor boxes =
      proposals(s.anchor_scores(levels), height, width, s.config.proposals, /*training=*/false);
  const FoundBoxes found =
      found_boxes(s.box_head->forward(s.pooled(levels, boxes, s.config.rois.box_cells), s.type),
                  boxes, height, width, s.config.rois);
  Detections detections{found.boxes.cpu(), found.scores.cpu(), found.labels.cpu(), {}};
  if (s.mask_head) {
    const at::Tensor logits =
        s.mask_head->forward(s.pooled(levels, found.boxes, s.config.rois.mask_cells), s.type);
    const at::Tensor label =
        found.labels.view({-1, 1, 1, 1}).expand({-1, 1, logits.size(2), logits.size(3)});
    detections.masks = logits.gather(1, label).squeeze(1).sigmoid().cpu();
  }
  return detections;
}

}  // namespace sgmae
