// Our side of ./dev bench finetune: whole fine-tuning steps of a ViT-S/16 on 224 px, on request.
//
//     bench_finetune fp32|bf16 BATCH THREADS
//
// A step mixes the batch, draws drop path, goes forward and backward, and updates by AdamW with
// layer decay. Prints one JSON line when ready, then one per line read from stdin (the number of
// steps to time).
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn.h>

#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include "bench/serve_steps.h"
#include "sgmae/base/error.h"
#include "sgmae/data/mixup.h"
#include "sgmae/nn/drop_path.h"
#include "sgmae/nn/vit.h"
#include "sgmae/optim/layer_decay.h"

namespace {

using namespace sgmae;

void run(Precision precision, std::int64_t batch) {
  VitConfig config = encoder_config(named_config("vit_small_patch16"));
  config.pooling = Pooling::mean;
  config.classes = 1000;
  Vit model(config, 0);
  model.set_precision(precision);
  AdamW optimizer(model.parameters(), {.beta2 = 0.999},
                  layer_decay_rules(model.parameters(), config.size.depth, 0.65));
  const at::Tensor images = at::randn({batch, 3, config.height, config.width});
  std::vector<std::int64_t> index(static_cast<std::size_t>(batch)), label(index.size());
  std::iota(index.begin(), index.end(), 0);
  std::iota(label.begin(), label.end(), 0);

  std::uint64_t number = 0;
  const auto step = [&] {
    at::Tensor pixels = images.clone();
    Rng rng(0, 0, ++number, Purpose::mix);
    const double lambda = apply_mix(draw_mix(rng, {.mixup = 0.8, .cutmix = 1}), pixels);
    VitTrace trace;
    trace.encoder.drop_path = draw_drop_path(0, number, index, config.size.depth, 0.1);
    const at::Tensor scores = model.forward(pixels, trace);
    at::Tensor dscores;
    soft_cross_entropy(scores, soft_targets(label, config.classes, lambda, 0.1), 1, &dscores);
    model.backward(dscores, trace);
    optimizer.step(1e-4);
    model.parameters_changed();
  };
  serve_steps(step);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    check(argc == 4, ExitCode::usage, "usage: bench_finetune fp32|bf16 BATCH THREADS");
    const at::NoGradGuard no_grad;
    keep_freed_memory();
    at::set_num_threads(std::stoi(argv[3]));
    run(std::string(argv[1]) == "bf16" ? Precision::bf16 : Precision::fp32, std::stoll(argv[2]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_finetune: %s\n", error.what());
    return 2;
  }
}
