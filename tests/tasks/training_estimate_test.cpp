// Oracles: the models themselves (their parameters, and every byte that LibTorch hands out during a
// step), and closed forms.
#include "sgmae/tasks/training_estimate.h"

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "sgmae/contrast/moco.h"
#include "sgmae/detect/mask_rcnn.h"
#include "sgmae/nn/vit.h"
#include "sgmae/segment/segmenter.h"
#include "tests/support/peak_bytes.h"

namespace sgmae {
namespace {

VitConfig vit(std::int64_t dim, std::int64_t depth) {
  VitConfig c;
  c.size = {dim, depth, 2};
  c.mlp_hidden = 4 * dim;
  c.patch_size = 8;
  return c;
}

MaskRcnnConfig detector(std::int64_t dim, std::int64_t depth, std::int64_t channels, bool masks) {
  MaskRcnnConfig c;
  c.backbone = detection_backbone(vit(dim, depth), 96, 96, 5, {depth - 1});
  c.classes = 7;
  c.channels = channels;
  c.box_hidden = 40;
  c.masks = masks;
  c.proposals.samples = c.rois.samples = 32;
  return c;
}

SegmenterConfig segmenter(std::int64_t dim, std::int64_t depth, std::int64_t channels) {
  SegmenterConfig c;
  c.backbone = segmentation_backbone(vit(dim, depth), 96, 96, true, true);
  c.classes = 7;
  c.taps = default_taps(depth);
  c.channels = channels;
  c.auxiliary_channels = 16;
  return c;
}

// As many objects as are drawn at most.
DetectionExample example(const MaskRcnnConfig& c) {
  const std::int64_t n = c.rois.samples;
  DetectionExample e;
  e.pixels = at::randn({3, c.backbone.height, c.backbone.width});
  const at::Tensor corner = at::rand({n, 2}).mul_(48), side = at::rand({n, 2}).mul_(36).add_(8);
  e.targets.boxes = at::cat({corner, corner.add(side)}, 1);
  e.targets.labels = at::randint(0, c.classes, {n}, at::kLong);
  e.targets.crowds = at::zeros({0, 4});
  e.targets.masks.assign(static_cast<std::size_t>(n),
                         {{0, 0, 8, 8}, std::vector<std::uint8_t>(64)});
  e.draw = [](std::int64_t, std::int64_t count) { return at::arange(count); };
  return e;
}

// Of a model of this size that takes `step`.
template <class Model, class Config, class Step>
double bytes_of(const Config& c, const TrainingRun& run, const Step& step) {
  Model model(c, 1);
  model.set_precision(run.precision);
  model.checkpoint_activations(run.checkpoint_activations);
  step(model);  // memory for packing stays
  return peak_bytes([&] { step(model); });
}

double bytes_of_a_step(const MaskRcnnConfig& c, const TrainingRun& run) {
  std::vector<DetectionExample> batch;
  for (std::int64_t i = 0; i < run.batch_size; ++i) batch.push_back(example(c));
  return bytes_of<MaskRcnn>(c, run, [&](MaskRcnn& model) { model.forward_backward(batch, 1); });
}

double bytes_of_a_step(const SegmenterConfig& c, const TrainingRun& run) {
  const std::int64_t side = c.backbone.height;
  const at::Tensor pixels = at::randn({run.batch_size, 3, side, side});
  const at::Tensor labels = at::randint(0, c.classes, {run.batch_size, side, side}, at::kByte);
  return bytes_of<Segmenter>(
      c, run, [&](Segmenter& model) { model.forward_backward(pixels, labels, {}, {}, 1); });
}

double bytes_of_a_step(const VitConfig& c, const TrainingRun& run) {
  const at::Tensor pixels = at::randn({run.batch_size, 3, c.height, c.width});
  return bytes_of<Vit>(c, run, [&](Vit& model) {
    VitTrace trace;
    model.backward(model.forward(pixels, trace), trace);
  });
}

double bytes_of_a_step(const MocoConfig& c, const TrainingRun& run) {
  const at::Tensor first = at::randn({run.batch_size, 3, c.encoder.height, c.encoder.width});
  const at::Tensor second = at::randn_like(first);
  return bytes_of<Moco>(c, run, [&](Moco& model) { model.forward_backward(first, second, 1); });
}

template <class Model>
void expect_near(const Model& model, const char* name) {
  at::set_num_threads(1);
  for (const Precision precision : {Precision::fp32, Precision::bf16})
    for (const bool checkpoint : {false, true}) {
      const TrainingRun run{
          .precision = precision, .batch_size = 2, .checkpoint_activations = checkpoint};
      const double held = bytes_of_a_step(model, run);
      EXPECT_NEAR(estimate_training(model, run).memory.activations / held, 1, 0.1)
          << name << ", " << name_of(precision) << (checkpoint ? ", checkpoints: " : ": ") << held;
    }
}

// 10 %: which of several moments is the widest, and what an operation makes besides, is more than
// the formulas know.
TEST(TrainingEstimate, StepOfADetectorHoldsWhatLibTorchHandsOut) {
  expect_near(detector(32, 2, 64, true), "wide heads");
  expect_near(detector(128, 6, 32, true), "deep encoder");
  expect_near(detector(64, 2, 48, false), "no masks");
}

TEST(TrainingEstimate, StepOfASegmenterHoldsWhatLibTorchHandsOut) {
  expect_near(segmenter(32, 4, 96), "wide head");
  expect_near(segmenter(128, 8, 32), "deep encoder");
  SegmenterConfig many = segmenter(32, 4, 32);
  many.classes = 150;
  expect_near(many, "many classes");
}

TEST(TrainingEstimate, StepOfAClassifierHoldsWhatLibTorchHandsOut) {
  for (const Pooling pooling : {Pooling::mean, Pooling::cls}) {
    VitConfig c = vit(64, 4);
    c.height = c.width = 96;
    c.classes = 10;
    c.pooling = pooling;
    expect_near(c, pooling == Pooling::mean ? "mean" : "class token");
  }
}

TEST(TrainingEstimate, StepOfMoCoHoldsWhatLibTorchHandsOut) {
  MocoConfig c;
  c.encoder = vit(64, 4);
  c.encoder.height = c.encoder.width = 96;
  c.hidden = 64, c.features = 32;
  expect_near(c, "deep encoder");
  c.hidden = 8192;
  expect_near(c, "wide heads");
}

TEST(TrainingEstimate, MoCoHasAKeyNetworkThatDoesNotLearn) {
  MocoConfig c;
  c.encoder = vit(32, 2);
  c.hidden = 48, c.features = 16;
  const Moco model(c, 1);
  const TrainingEstimate e = estimate_training(c, {});
  std::int64_t sum = 0;
  std::vector<std::string> names;
  for (const ModelPart& part : e.parts) sum += part.parameters, names.push_back(part.name);
  EXPECT_EQ(names, (std::vector<std::string>{"encoder", "projector", "predictor", "key network"}));
  EXPECT_EQ(sum, value_count(model.encoder_parameters()) + value_count(model.other_parameters()));
}

TEST(TrainingEstimate, PartsAreTheModels) {
  const MaskRcnn model(detector(32, 2, 64, true), 1);
  const TrainingEstimate e = estimate_training(model.config(), {});
  std::int64_t sum = 0;
  std::vector<std::string> names;
  for (const ModelPart& part : e.parts) sum += part.parameters, names.push_back(part.name);
  EXPECT_EQ(sum, value_count(model.parameters()));
  EXPECT_EQ(names, (std::vector<std::string>{"encoder", "pyramid", "proposal network", "box head",
                                             "mask head"}));
  EXPECT_EQ(e.memory.weights, 4.0 * static_cast<double>(sum));
  EXPECT_EQ(e.memory.moments, 2 * e.memory.weights);
}

// A probe trains its head alone.
TEST(TrainingEstimate, FrozenEncodersCostTheirForwardPass) {
  SegmenterConfig c = segmenter(64, 4, 32);
  const TrainingEstimate trained = estimate_training(c, {});
  c.head = SegmentHead::linear;
  c.auxiliary_weight = 0;
  c.frozen_encoder = true;
  const TrainingEstimate probe = estimate_training(c, {});
  EXPECT_NEAR(probe.encoder_flop, trained.encoder_flop / 3, 1);
  EXPECT_EQ(probe.memory.moments, 8.0 * (4 * 64 + 1) * 7);  // four blocks side by side
  EXPECT_LT(probe.memory.activations, trained.memory.activations);
}

TEST(TrainingEstimate, ConvolutionsOfAHeadAreCounted) {
  MaskRcnnConfig c = detector(32, 2, 64, true);
  const double one = estimate_training(c, {}).head_flop;
  ++c.mask_convs;
  // 14 x 14 cells of a quarter of the boxes; forward, and twice that backward.
  EXPECT_DOUBLE_EQ(estimate_training(c, {}).head_flop - one, 6.0 * 8 * 196 * 64 * 64 * 9);
}

}  // namespace
}  // namespace sgmae
