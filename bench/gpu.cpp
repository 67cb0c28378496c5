// Our side of ./dev gpu, on any device; each prints one JSON line.
//
//     bench_gpu DEVICE rate SIZE                   bf16 products of SIZE x SIZE matrices
//     bench_gpu DEVICE step SHAPE BATCH STEPS      whole training steps in bf16
//     bench_gpu DEVICE graph SHAPE BATCH STEPS     the same with CUDA graphs
//     bench_gpu DEVICE maps SHAPE BATCH BATCHES    the pass that makes relevance maps, in bf16
//
// SHAPE is base, large, huge, small (launch-bound) or tiny (for trying this program). A step sends
// the batch, plans nothing, and reads loss and gradient norm, as sgmae pretrain does.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/mask/guide.h"
#include "sgmae/nn/device.h"
#include "sgmae/nn/mae.h"
#include "sgmae/nn/ops.h"
#include "sgmae/nn/step_graph.h"
#include "sgmae/optim/adamw.h"
#include "sgmae/optim/groups.h"
#include "sgmae/train/flops.h"

namespace sgmae {
namespace {

constexpr double mask_ratio = 0.75;

MaeConfig shape(const std::string& name) {
  MaeConfig config;
  if (name == "base" || name == "large") {
    config = named_config(str("mae_vit_", name, "_patch16"));
  } else if (name == "huge") {
    config = named_config("mae_vit_huge_patch14");
  } else {
    check(name == "small" || name == "tiny", ExitCode::usage, "unknown shape '", name,
          "'; give base, large, huge, small or tiny");
    config.height = config.width = name == "small" ? 64 : 32;
    config.patch_size = 8;
    config.encoder = name == "small" ? VitSize{192, 8, 3} : VitSize{32, 2, 4};
    config.decoder = name == "small" ? VitSize{128, 4, 4} : VitSize{16, 1, 2};
  }
  config.norm_pix_loss = true;
  return config;
}

// Median of `rounds` times that `count` calls take, each over the count. `work` ends with a read,
// so that no device is left behind.
double seconds_each(int rounds, std::int64_t count, const std::function<void()>& work) {
  std::vector<double> times;
  for (int round = 0; round < rounds; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    for (std::int64_t i = 0; i < count; ++i) work();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    times.push_back(took.count() / static_cast<double>(count));
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

Mae model_on(at::Device device, const MaeConfig& config) {
  Mae model(config, 0);
  model.set_precision(Precision::bf16);
  model.move_to(device);
  return model;
}

at::Tensor pixels_for(at::Device device, const MaeConfig& config, std::int64_t batch) {
  const at::Tensor pixels = at::randn({batch, config.channels, config.height, config.width});
  return device.is_cpu() ? pixels : pixels.pin_memory();
}

// The largest rate of ten products in a row; other tensors than those just read.
void rate(at::Device device, std::int64_t size) {
  const auto options = at::TensorOptions(at::kBFloat16).device(device);
  const at::Tensor a = at::randn({size, size}, options), b = at::randn({size, size}, options);
  at::Tensor product = at::zeros({size, size}, options);
  const auto work = [&] {
    for (int i = 0; i < 10; ++i) at::mm_out(product, a, b);
    product[0][0].item<float>();
  };
  work();
  double best = 1e9;
  for (int i = 0; i < 5; ++i) best = std::min(best, seconds_each(1, 1, work));
  const double n = static_cast<double>(size);
  std::printf("{\"tflop_per_s\": %.3f}\n", 10 * 2 * n * n * n / best * 1e-12);
}

void step(at::Device device, const std::string& name, std::int64_t batch, std::int64_t steps,
          bool graphs) {
  const MaeConfig config = shape(name);
  const std::int64_t n = config.n_patches(), visible = visible_count(n, mask_ratio);
  Mae model = model_on(device, config);
  StepGraph graph(model, graphs ? open_graphs(device) : nullptr);
  AdamW optimizer(model.parameters(), {});
  const at::Tensor pixels = pixels_for(device, config, batch);
  const MaskPlan plan{at::argsort(at::rand({batch, n}), /*stable=*/true, 1), visible};
  const auto work = [&] {
    const at::Tensor loss = graph.forward_backward(pixels, plan).mean;
    at::stack({loss, gradient_norm(model.parameters())}).cpu();
    optimizer.step(1e-4);
    graph.parameters_changed();
  };
  for (int i = 0; i < 5; ++i) work();
  const double seconds = seconds_each(3, steps, work);
  check(graph.recorded() == graphs, ExitCode::usage, "no CUDA graph on ", device.str());
  std::printf("{\"seconds\": %.6f, \"peak_mib\": %.0f, \"flop_per_image\": %.6g}\n", seconds,
              static_cast<double>(peak_device_memory(device)) / (1 << 20),
              training_flop_per_image(config, visible));
}

void maps(at::Device device, const std::string& name, std::int64_t batch, std::int64_t batches) {
  const MaeConfig config = shape(name);
  const Mae model = model_on(device, config);
  const at::Tensor pixels = pixels_for(device, config, batch);
  const auto seconds_per_image = [&](GuideChoice choice) {
    const GuideOptions options = guide_options(choice);
    const auto work = [&] { make_guide(model, pixels, options); };
    work();
    return seconds_each(3, batches, work) / static_cast<double>(batch);
  };
  std::printf("{\"hardest\": %.9f, \"paper\": %.9f}\n", seconds_per_image(GuideChoice::hardest),
              seconds_per_image(GuideChoice::paper));
}

void run(const std::vector<std::string>& words) {
  const char* const usage =
      "usage: bench_gpu DEVICE rate SIZE | step|graph SHAPE BATCH STEPS | maps SHAPE BATCH BATCHES";
  check(words.size() == 3 || words.size() == 5, ExitCode::usage, usage);
  const at::Device device = open_device(words[0]);
  if (words[1] == "rate") return rate(device, std::stoll(words[2]));
  check(words.size() == 5, ExitCode::usage, usage);
  const std::int64_t batch = std::stoll(words[3]), count = std::stoll(words[4]);
  if (words[1] == "step" || words[1] == "graph")
    return step(device, words[2], batch, count, words[1] == "graph");
  check(words[1] == "maps", ExitCode::usage, usage);
  maps(device, words[2], batch, count);
}

}  // namespace
}  // namespace sgmae

int main(int argc, char** argv) {
  try {
    const at::NoGradGuard no_grad;
    sgmae::keep_freed_memory();
    sgmae::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_gpu: %s\n", error.what());
    return 2;
  }
}
