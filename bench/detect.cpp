// Our side of ./dev bench detect: training steps of a Mask R-CNN on ViT-B/16, and detection, on
// request.
//
//     bench_detect fp32|bf16 train|detect BATCH SIDE THREADS
//
// A training step draws anchors and proposals, goes forward and backward and updates by AdamW, on
// images of SIDE pixels with ten objects each. Prints one JSON line when ready, then one per line
// read from stdin (the number of steps to time).
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <cstdio>
#include <string>
#include <vector>

#include "bench/serve_steps.h"
#include "sgmae/base/error.h"
#include "sgmae/base/rng.h"
#include "sgmae/detect/mask_rcnn.h"
#include "sgmae/optim/layer_decay.h"

namespace {

using namespace sgmae;

DetectionExample example(std::int64_t image, std::int64_t side) {
  constexpr std::int64_t objects = 10;
  DetectionExample e{
      at::randn({3, side, side}),
      {at::empty({objects, 4}), at::empty({objects}, at::kLong), at::zeros({0, 4}), {}},
      {},
      {}};
  Rng rng(0, 0, static_cast<std::uint64_t>(image), Purpose::probe);
  const auto whole = static_cast<double>(side);
  for (std::int64_t i = 0; i < objects; ++i) {
    const auto corner = [&] { return static_cast<int>(rng.uniform(0, 0.6 * whole)); };
    const auto extent = [&] { return static_cast<int>(rng.uniform(0.05 * whole, 0.4 * whole)); };
    const CropBox box{corner(), corner(), extent(), extent()};
    float* const to = e.targets.boxes.data_ptr<float>() + 4 * i;
    to[0] = static_cast<float>(box.x), to[1] = static_cast<float>(box.y);
    to[2] = static_cast<float>(box.x + box.width), to[3] = static_cast<float>(box.y + box.height);
    e.targets.labels.data_ptr<std::int64_t>()[i] = rng.below(80);
    e.targets.masks.push_back(
        {box, std::vector<std::uint8_t>(static_cast<std::size_t>(box.width * box.height), 1)});
  }
  return e;
}

void train(MaskRcnn& model, std::vector<DetectionExample>& examples) {
  AdamW optimizer(model.parameters(), {.beta2 = 0.999, .weight_decay = 0.1},
                  layer_decay_rules(model.parameters(), model.config().backbone.size.depth, 0.7));
  std::uint64_t number = 0;
  serve_steps([&] {
    ++number;
    for (std::size_t i = 0; i < examples.size(); ++i)
      examples[i].draw = random_draw(0, number, static_cast<std::int64_t>(i));
    model.forward_backward(examples, 1);
    optimizer.step(1e-5);
    model.parameters_changed();
  });
}

void detect(const MaskRcnn& model, const std::vector<DetectionExample>& examples) {
  serve_steps([&] {
    for (const DetectionExample& e : examples) model.detect(e.pixels);
  });
}

void run(Precision precision, bool training, std::int64_t batch, std::int64_t side) {
  MaskRcnnConfig config;
  config.backbone =
      detection_backbone(encoder_config(named_config("vit_base_patch16")), side, side, 14, {});
  config.rois.lowest_score = 0;  // an untrained one is sure of nothing
  MaskRcnn model(config, 0);
  model.set_precision(precision);
  std::vector<DetectionExample> examples;
  for (std::int64_t i = 0; i < batch; ++i) examples.push_back(example(i, side));
  if (training)
    train(model, examples);
  else
    detect(model, examples);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    check(argc == 6, ExitCode::usage,
          "usage: bench_detect fp32|bf16 train|detect BATCH SIDE THREADS");
    const at::NoGradGuard no_grad;
    keep_freed_memory();
    at::set_num_threads(std::stoi(argv[5]));
    run(std::string(argv[1]) == "bf16" ? Precision::bf16 : Precision::fp32,
        std::string(argv[2]) == "train", std::stoll(argv[3]), std::stoll(argv[4]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_detect: %s\n", error.what());
    return 2;
  }
}
