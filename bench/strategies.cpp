// Our side of ./dev bench strategies: training steps under the masks of one strategy, on request
// (serve_steps.h).
//
//     bench_strategies STRATEGY small|base fp32|bf16 BATCH THREADS
//
// A step is all but the loading of images: plan, forward and backward, what the strategy learns,
// and the optimizers, in the middle of a run. The JSON line in front tells what does not come with
// every step: "pass_seconds" for the maps of one image, 0 where there are none; and "parameters",
// what trains beside the model.
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "bench/serve_steps.h"
#include "sgmae/base/clock.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/mask/registry.h"
#include "sgmae/optim/adamw.h"
#include "sgmae/tasks/pretrain_options.h"

namespace {

using namespace sgmae;
namespace fs = std::filesystem;

constexpr std::int64_t epochs = 400;

MaeConfig shape(const std::string& name) {
  MaeConfig config = named_config("mae_vit_base_patch16");
  if (name == "small") {
    config.height = config.width = 64;
    config.patch_size = 8;
    config.encoder = {192, 8, 3};
    config.decoder = {128, 4, 4};
  }
  config.norm_pix_loss = true;
  return config;
}

// Grey noise of 32 pixels' side, as an IDX file.
void write_images(const fs::path& folder, std::int64_t images) {
  constexpr std::uint8_t side = 32;
  std::string file{0, 0, 8, 3, 0, 0, static_cast<char>(images >> 8), static_cast<char>(images)};
  file += std::string{0, 0, 0, side, 0, 0, 0, side};
  Rng rng(1, 0, 0, Purpose::probe);
  for (std::int64_t i = 0; i < images * side * side; ++i)
    file.push_back(static_cast<char>(rng.below(256)));
  fs::create_directories(folder);
  write_file(folder / "train-images-idx3-ubyte", file);
}

void run(const std::string& strategy, const std::string& size, Precision precision,
         std::int64_t batch_size, const fs::path& folder) {
  write_images(folder / "data", batch_size);
  fs::create_directories(RunFolder{folder}.maps());
  const auto source = open_source((folder / "data").string());
  Mae model(shape(size), 0);
  model.set_precision(precision);
  PretrainOptions options;
  options.mask.strategy = strategy;
  LoaderOptions loader;
  loader.batch_size = batch_size;
  loader.height = static_cast<int>(model.config().height);
  loader.width = static_cast<int>(model.config().width);
  const auto masks = options.mask.chosen().make({.model = model,
                                                 .source = *source,
                                                 .loader = loader,
                                                 .folder = RunFolder{folder},
                                                 .mask_ratio = options.mask.ratio,
                                                 .epochs = epochs,
                                                 .optim = options,
                                                 .compute = options});
  AdamW optimizer(model.parameters(), {});
  Batch batch;
  Loader batches(*source, loader);
  batches.start_epoch(0);
  batches.next(batch);

  constexpr std::int64_t epoch = epochs / 2;
  const double begun = seconds_now();
  const bool made_maps = masks->before_epoch(epoch).save_now;
  const double pass = made_maps ? (seconds_now() - begun) / static_cast<double>(batch_size) : 0;
  std::int64_t own = 0;
  for (const Learner* learner : masks->learners()) own += value_count(*learner->parameters);
  std::printf("{\"pass_seconds\": %.6f, \"parameters\": %lld}\n", pass,
              static_cast<long long>(own));

  StepDone done{.epoch = epoch};
  serve_steps([&] {
    const MaskPlan plan = masks->plan(batch, epoch);
    at::Tensor dpixels;
    const MaeLoss loss = model.forward_backward(batch.pixels, plan, 1.0,
                                                masks->wants_pixel_gradient() ? &dpixels : nullptr,
                                                {}, masks->decoder_input_reader(plan, 1.0));
    masks->learn({batch, plan, loss.per_patch, dpixels, 1.0});
    optimizer.step(1e-4);
    model.parameters_changed();
    for (Learner* learner : masks->learners()) {
      learner->optimizer->step(1e-4);
      if (learner->changed) learner->changed();
    }
    ++done.step;
    masks->after_step(done);
  });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    check(argc == 6, ExitCode::usage,
          "usage: bench_strategies STRATEGY small|base fp32|bf16 BATCH THREADS");
    const at::NoGradGuard no_grad;
    keep_freed_memory();
    set_log_quiet(true);
    at::set_num_threads(std::stoi(argv[5]));
    const fs::path folder =
        fs::temp_directory_path() / str("bench_strategies_", argv[1], "_", getpid());
    run(argv[1], argv[2], std::string(argv[3]) == "bf16" ? Precision::bf16 : Precision::fp32,
        std::stoll(argv[4]), folder);
    fs::remove_all(folder);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_strategies: %s\n", error.what());
    return 2;
  }
}
