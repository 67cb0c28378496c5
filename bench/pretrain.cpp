// Our side of ./dev bench pretrain and processes: whole training steps of a model, on request.
//
//     bench_pretrain small|base|large|huge fp32|bf16 BATCH THREADS [sharded|summed|alone]
//
// Prints one JSON line when ready, then one per line read from stdin (the number of steps to time).
// Of several processes, started as sgmae's are, process 0 reads and prints; "sharded" and "summed"
// say how gradients are exchanged, "alone" that they are not. "exchange_seconds" is what that takes
// when there is no backward pass to hide behind; products are not measured then.
// "product_seconds" is what the machine's own matrix product (at::mm) takes for the step's linear
// layers alone, forward and backward: the floor that the step's time is held against.
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/nn/mae.h"
#include "sgmae/nn/ops.h"
#include "sgmae/optim/adamw.h"
#include "sgmae/parallel/launch_options.h"
#include "sgmae/parallel/process_group.h"
#include "sgmae/train/gradient_exchange.h"

namespace {

using namespace sgmae;

template <class Work>
double seconds(Work work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

MaeConfig shape(const std::string& name) {
  MaeConfig config;
  if (name == "small") {
    config.height = config.width = 64;
    config.patch_size = 8;
    config.encoder = {192, 8, 3};
    config.decoder = {128, 4, 4};
  } else {
    config = named_config("mae_vit_" + name);
  }
  config.norm_pix_loss = true;
  return config;
}

// The three products of a linear layer [rows, in] -> [rows, out] in training; best of five.
double linear_seconds(std::int64_t rows, std::int64_t in, std::int64_t out, at::ScalarType type) {
  const at::Tensor x = at::randn({rows, in}, type), w = at::randn({out, in}, type),
                   dy = at::randn({rows, out}, type);
  double best = 1e9;
  for (int i = 0; i < 5; ++i)
    best = std::min(best, seconds([&] {
                      at::mm(x, w.t());
                      at::mm(dy, w);
                      at::mm(dy.t(), x);
                    }));
  return best;
}

// One block on `rows` tokens, its MLP on `mlp_rows` of them.
double block_seconds(std::int64_t d, std::int64_t rows, std::int64_t mlp_rows,
                     std::int64_t mlp_ratio, at::ScalarType type) {
  return linear_seconds(rows, d, 3 * d, type) + linear_seconds(rows, d, d, type) +
         linear_seconds(mlp_rows, d, mlp_ratio * d, type) +
         linear_seconds(mlp_rows, mlp_ratio * d, d, type);
}

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// What comes with several processes.
class Exchange {
 public:
  Exchange(Mae& model, const std::string& how) {
    check(how == "sharded" || how == "summed" || how == "alone", ExitCode::usage, how);
    if (how != "alone")
      exchange_.emplace(model.parameters(), ExchangeOptions{.sharded = how == "sharded"});
    model.parameters_changed();
  }
  GradientsReady begin() {
    if (!exchange_) return {};
    exchange_->begin();
    return exchange_->ready();
  }
  void finish() {
    if (exchange_) exchange_->finish();
  }
  void spread_values() {
    if (exchange_) exchange_->spread_values();
  }
  double seconds_alone() {
    processes().wait_for_all();
    return seconds([&] {
      begin();
      finish();
      spread_values();
    });
  }

 private:
  std::optional<GradientExchange> exchange_;
};

void run(const std::string& name, Precision precision, std::int64_t batch, const std::string& how,
         bool measures_products) {
  const MaeConfig config = shape(name);
  const std::int64_t n = config.n_patches(), visible = visible_count(n, 0.75);
  Mae model(config, 0);
  model.set_precision(precision);
  AdamW optimizer(model.parameters(), {.sharded = how == "sharded"});
  Exchange exchange(model, how);
  const bool leads = processes().leads();
  const at::Tensor pixels = at::randn({batch, config.channels, config.height, config.width});
  const auto step = [&] {
    model.forward_backward(pixels, {at::argsort(at::rand({batch, n}), true, 1), visible},
                           1.0 / processes().size(), nullptr, exchange.begin());
    exchange.finish();
    optimizer.step(1e-4);
    exchange.spread_values();
    model.parameters_changed();
  };
  for (int i = 0; i < 3; ++i) step();
  const at::ScalarType type = precision == Precision::bf16 ? at::kBFloat16 : at::kFloat;
  const auto product_seconds = [&] {
    const auto [dim, depth, heads] = config.encoder;
    const std::int64_t decoder_dim = config.decoder.dim;
    const std::int64_t seen = batch * (1 + visible), all = batch * (1 + n),
                       masked = batch * (n - visible);
    const auto blocks = [&](std::int64_t d, std::int64_t count, std::int64_t rows,
                            std::int64_t mlp_rows) {
      return static_cast<double>(count) * block_seconds(d, rows, mlp_rows, config.mlp_ratio, type);
    };
    return blocks(dim, depth, seen, seen) +
           blocks(decoder_dim, config.decoder.depth - 1, all, all) +
           blocks(decoder_dim, 1, all, masked) +
           linear_seconds(batch * visible, config.patch_values(), dim, type) +
           linear_seconds(seen, dim, decoder_dim, type) +
           linear_seconds(masked, decoder_dim, config.patch_values(), type);
  };
  if (leads) std::printf("{\"peak_mib\": %.0f}\n", peak_mib());
  std::fflush(stdout);
  while (true) {
    std::string line;
    if (leads) std::getline(std::cin, line);
    line = processes().of_leader(line);
    if (line.empty()) return;
    const int steps = std::stoi(line);
    const double time = seconds([&] {
      for (int i = 0; i < steps; ++i) step();
    });
    const double exchanged = exchange.seconds_alone();
    // The floor beside every timing, so that a busy machine disturbs both alike.
    const double floor = measures_products ? product_seconds() : 0;
    if (!leads) continue;
    std::printf(
        "{\"seconds\": %.5f, \"product_seconds\": %.5f, \"exchange_seconds\": %.5f, "
        "\"peak_mib\": %.0f}\n",
        time / steps, floor, exchanged, peak_mib());
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    check(argc == 5 || argc == 6, ExitCode::usage,
          "usage: bench_pretrain small|base|large|huge fp32|bf16 BATCH THREADS "
          "[sharded|summed|alone]");
    const Joined joined(LaunchOptions().membership(), std::chrono::minutes(10));
    const at::NoGradGuard no_grad;
    keep_freed_memory();
    at::set_num_threads(std::stoi(argv[4]));
    run(argv[1], std::string(argv[2]) == "bf16" ? Precision::bf16 : Precision::fp32,
        std::stoll(argv[3]), argc == 6 ? argv[5] : "alone", /*measures_products=*/argc == 5);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_pretrain: %s\n", error.what());
    return 2;
  }
}
