// Our side of ./dev bench segment: training steps of UperNet on ViT-B/16, and sliding evaluation,
// on request.
//
//     bench_segment fp32|bf16 train|slide BATCH SIDE THREADS
//
// A training step goes forward and backward and updates by AdamW, on crops of SIDE pixels of 150
// classes. Evaluation is that of a photo of SIDE x 2 SIDE pixels by windows of SIDE pixels, two
// thirds of that apart, BATCH at a time, its counting included; at the end it says on standard
// error what share of it the counting is. Prints one JSON line when ready, then one per line read
// from stdin (the number of steps to time).
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "bench/serve_steps.h"
#include "sgmae/base/error.h"
#include "sgmae/base/rng.h"
#include "sgmae/eval/pixel_counts.h"
#include "sgmae/eval/segment_photo.h"
#include "sgmae/optim/adamw.h"
#include "sgmae/optim/layer_decay.h"
#include "sgmae/segment/segmenter.h"

namespace {

using namespace sgmae;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void train(Segmenter& model, std::int64_t batch, std::int64_t side) {
  AdamW optimizer(model.parameters(), {.beta2 = 0.999, .weight_decay = 0.05},
                  layer_decay_rules(model.parameters(), model.config().backbone.size.depth, 0.65));
  const at::Tensor pixels = at::randn({batch, 3, side, side}),
                   labels = at::randint(model.config().classes, {batch, side, side}, at::kByte);
  std::uint64_t number = 0;
  serve_steps([&] {
    model.forward_backward(pixels, labels, {}, {0, 0, ++number}, 1);
    optimizer.step(1e-5);
    model.parameters_changed();
  });
}

void slide(const Segmenter& model, std::int64_t batch, std::int64_t side) {
  Image photo{static_cast<int>(2 * side), static_cast<int>(side), 3, {}};
  std::vector<std::uint8_t> truth;
  Rng rng(0, 0, 0, Purpose::probe);
  for (std::int64_t i = 0; i < 2 * side * side; ++i) {
    for (int c = 0; c < 3; ++c) photo.pixels.push_back(static_cast<std::uint8_t>(rng.below(256)));
    truth.push_back(static_cast<std::uint8_t>(rng.below(model.config().classes)));
  }
  const PixelClassifier classifier{
      .logits = [&](const at::Tensor& pixels) { return model.logits(pixels); },
      .side = side,
      .patch = 16,
      .channels = 3,
      .normalisation = default_normalisation(3)};
  PixelCounts counts(model.config().classes);
  double counting = 0, all = 0;
  serve_steps([&] {
    const auto start = Clock::now();
    const LabelMap predicted = segment_photo(classifier, view(photo), {.batch_size = batch});
    const auto predicted_at = Clock::now();
    counts.add(truth, predicted.labels);
    counting += seconds_since(predicted_at);
    all += seconds_since(start);
  });
  std::fprintf(stderr, "counting is %.3f %% of evaluation\n", 100 * counting / all);
}

void run(Precision precision, bool training, std::int64_t batch, std::int64_t side) {
  SegmenterConfig config;
  config.backbone = segmentation_backbone(encoder_config(named_config("vit_base_patch16")), side,
                                          side, /*relative_bias=*/true, /*layer_scale=*/true);
  Segmenter model(config, 0);
  model.set_precision(precision);
  if (training)
    train(model, batch, side);
  else
    slide(model, batch, side);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    check(argc == 6, ExitCode::usage,
          "usage: bench_segment fp32|bf16 train|slide BATCH SIDE THREADS");
    const at::NoGradGuard no_grad;
    keep_freed_memory();
    at::set_num_threads(std::stoi(argv[5]));
    run(std::string(argv[1]) == "bf16" ? Precision::bf16 : Precision::fp32,
        std::string(argv[2]) == "train", std::stoll(argv[3]), std::stoll(argv[4]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_segment: %s\n", error.what());
    return 2;
  }
}
