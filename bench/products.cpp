// ./dev bench products: the matrix products of training on one thread, ours beside LibTorch's.
//
// Per layer [rows, in] -> [rows, out] of ViT-B/16 at batch 16 and of the small model at batch 256:
// forward, input gradient and weight gradient in GFLOP/s, packing included, best of seven. LibTorch
// gets weights of the activations' type, and its weight gradient in bf16 is rounded to bf16. Random
// numbers: of zeros, some processors multiply more per second.
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>

#include "sgmae/base/instruction_set.h"
#include "sgmae/nn/ops.h"
#include "sgmae/nn/products.h"

namespace {

using namespace sgmae;

struct Layer {
  const char* model;
  std::int64_t rows, in, out;
};

constexpr Layer kLayers[] = {
    {"encoder", 800, 768, 2304},  {"encoder", 800, 768, 768},   {"encoder", 800, 768, 3072},
    {"encoder", 800, 3072, 768},  {"decoder", 3152, 512, 1536}, {"decoder", 3152, 512, 512},
    {"decoder", 3152, 512, 2048}, {"decoder", 3152, 2048, 512}, {"small", 4352, 192, 576},
    {"small", 4352, 192, 192},    {"small", 4352, 192, 768},    {"small", 4352, 768, 192},
};

double rate(const Layer& layer, const std::function<void()>& work) {
  double best = 1e9;
  for (int i = 0; i < 7; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    best = std::min(best, took.count());
  }
  return 2e-9 * static_cast<double>(layer.rows * layer.in * layer.out) / best;
}

void measure(const Layer& layer, at::ScalarType type) {
  const at::Tensor x = at::randn({layer.rows, layer.in}, type),
                   dy = at::randn({layer.rows, layer.out}, type),
                   weight = at::randn({layer.out, layer.in}), bias = at::randn({layer.out}),
                   rounded = weight.to(type), rounded_bias = bias.to(type);
  const at::Tensor& w = has_products(at::kCPU) ? weight : rounded;
  const at::Tensor& b = has_products(at::kCPU) ? bias : rounded_bias;
  at::Tensor grad = at::zeros({layer.out, layer.in});
  std::printf("%-5s %-8s %5ld %5ld %5ld   %4.0f %4.0f %4.0f   %4.0f %4.0f %4.0f\n",
              type == at::kFloat ? "fp32" : "bf16", layer.model, static_cast<long>(layer.rows),
              static_cast<long>(layer.in), static_cast<long>(layer.out),
              rate(layer, [&] { linear(x, w, b); }), rate(layer, [&] { linear_input_grad(dy, w); }),
              rate(layer, [&] { linear_weight_grad(dy, x, grad); }),
              rate(layer, [&] { at::linear(x, rounded, rounded_bias); }),
              rate(layer, [&] { at::mm(dy, rounded); }), rate(layer, [&] { at::mm(dy.t(), x); }));
}

}  // namespace

int main() {
  const at::NoGradGuard no_grad;
  keep_freed_memory();
  at::set_num_threads(1);
  std::printf("GFLOP/s, one thread, %s\n%-5s %-8s %5s %5s %5s   %14s   %14s\n",
              name_of(instruction_set()), "", "", "rows", "in", "out", "ours y  dx  dw",
              "LibTorch's");
  for (const at::ScalarType type : {at::kBFloat16, at::kFloat})
    for (const Layer& layer : kLayers) measure(layer, type);
}
