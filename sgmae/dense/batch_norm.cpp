#include "sgmae/dense/batch_norm.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/dense/kernels/maps.h"
#include "sgmae/dense/layers.h"
#include "sgmae/nn/kernels/with_type.h"
#include "sgmae/parallel/process_group.h"

namespace sgmae {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr double eps = 1e-5, momentum = 0.1;
// Sums are over so many cells at a time: these stay in a core's cache, and the result is the same
// for any number of threads.
constexpr std::int64_t cells_at_once = 128;

// x [B, C, H, W] as cells [B*H*W, C], side by side in memory.
at::Tensor cells_of(const at::Tensor& x) {
  return x.permute({0, 2, 3, 1}).reshape({-1, x.size(1)}).contiguous();
}

at::Tensor map_of(const at::Tensor& cells, at::IntArrayRef sizes) {
  return cells.view({sizes[0], sizes[2], sizes[3], sizes[1]}).permute({0, 3, 1, 2});
}

std::int64_t parts_of(std::int64_t cells) {
  return (cells + cells_at_once - 1) / cells_at_once;
}

// body(part, first, count) for parts of the cells.
template <class Body>
void for_cells(std::int64_t cells, Body body) {
  at::parallel_for(0, parts_of(cells), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = begin; part < end; ++part) {
      const std::int64_t first = part * cells_at_once;
      body(part, first, std::min(cells_at_once, cells - first));
    }
  });
}

template <class T>
T* data(const at::Tensor& tensor) {
  return static_cast<T*>(tensor.data_ptr());
}

at::Tensor as_double(const at::Tensor& x) {
  return x.to(at::TensorOptions(at::kCPU).dtype(at::kDouble));
}

struct Moments {
  double count = 0;
  at::Tensor mean, m2;  // [C] double on the CPU; m2: the sum of squared deviations
};

// Of parts [parts, C], each with its count [parts] (Chan, Golub and LeVeque 1979).
Moments combined(const at::Tensor& count, const at::Tensor& mean, const at::Tensor& m2) {
  const at::Tensor n = count.unsqueeze(1);
  const double total = count.sum().item<double>();
  const at::Tensor whole = mean.mul(n).sum(0).div_(total);
  return {total, whole, mean.sub(whole).square_().mul_(n).add_(m2).sum(0)};
}

Moments own_moments(const at::Tensor& cells) {
  const std::int64_t n = cells.size(0), channels = cells.size(1), parts = parts_of(n);
  if (!cells.is_cpu()) {
    const at::Tensor x = cells.to(at::kFloat), mean = x.mean(0);
    return {static_cast<double>(n), as_double(mean), as_double(x.sub(mean).square_().sum(0))};
  }
  const at::Tensor mean = at::empty({parts, channels}), m2 = at::empty({parts, channels});
  const at::Tensor counts = at::empty({parts}, at::kDouble);
  with_type(cells.scalar_type(), [&](auto t) {
    using T = decltype(t);
    for_cells(n, [&](std::int64_t part, std::int64_t first, std::int64_t count) {
      cell_kernels<T>().moments(count, channels, data<T>(cells) + first * channels,
                                data<float>(mean) + part * channels,
                                data<float>(m2) + part * channels);
      data<double>(counts)[part] = static_cast<double>(count);
    });
  });
  return combined(counts, as_double(mean), as_double(m2));
}

// Of all processes' cells.
Moments moments(const at::Tensor& cells) {
  const Moments own = own_moments(cells);
  if (processes().size() == 1) return own;
  const std::int64_t channels = own.mean.size(0);
  const at::Tensor all = at::cat(processes().gather(
      at::cat({at::full({1}, own.count, at::kDouble), own.mean, own.m2}).unsqueeze(0)));
  return combined(all.select(1, 0).contiguous(), all.narrow(1, 1, channels),
                  all.narrow(1, 1 + channels, channels));
}

// ChannelAffine in tensors [C] fp32 on the cells' device.
struct Affine {
  at::Tensor mean, scale, shift;
  bool relu;

  ChannelAffine pointers() const {
    return {data<float>(mean), data<float>(scale), data<float>(shift), relu};
  }
};

at::Tensor normalised(const at::Tensor& cells, const Affine& by) {
  if (!cells.is_cpu()) {
    const at::Tensor y = cells.to(at::kFloat).sub(by.mean).mul_(by.scale).add_(by.shift);
    return (by.relu ? y.clamp_min(0) : y).to(cells.scalar_type());
  }
  const std::int64_t channels = cells.size(1);
  at::Tensor y = at::empty_like(cells);
  with_type(cells.scalar_type(), [&](auto t) {
    using T = decltype(t);
    for_cells(cells.size(0), [&](std::int64_t, std::int64_t first, std::int64_t count) {
      cell_kernels<T>().normalise(count, channels, data<T>(cells) + first * channels, by.pointers(),
                                  data<T>(y) + first * channels);
    });
  });
  return y;
}

// For other devices: dy where ReLU let the result through, and x - mean.
std::pair<at::Tensor, at::Tensor> let_through(const at::Tensor& dy, const at::Tensor& cells,
                                              const Affine& by) {
  const at::Tensor apart = cells.to(at::kFloat).sub(by.mean), g = dy.to(at::kFloat);
  return {by.relu ? g.mul(apart.mul(by.scale).add_(by.shift).gt(0)) : g, apart};
}

// Sums over cells of g and of g (x - mean), [2, C] double on the CPU; g is dy behind ReLU.
at::Tensor gradient_sums(const at::Tensor& dy, const at::Tensor& cells, const Affine& by) {
  if (!cells.is_cpu()) {
    const auto [g, apart] = let_through(dy, cells, by);
    return as_double(at::stack({g.sum(0), g.mul(apart).sum(0)}));
  }
  const std::int64_t channels = cells.size(1);
  const at::Tensor sums = at::empty({parts_of(cells.size(0)), 2, channels});
  with_type(cells.scalar_type(), [&](auto t) {
    using T = decltype(t);
    for_cells(cells.size(0), [&](std::int64_t part, std::int64_t first, std::int64_t count) {
      float* const out = data<float>(sums) + part * 2 * channels;
      cell_kernels<T>().gradient_sums(count, channels, data<T>(dy) + first * channels,
                                      data<T>(cells) + first * channels, by.pointers(), out,
                                      out + channels);
    });
  });
  return as_double(sums).sum(0);
}

// scale (g - a - b (x - mean)).
at::Tensor gradient(const at::Tensor& dy, const at::Tensor& cells, const Affine& by,
                    const at::Tensor& a, const at::Tensor& b) {
  if (!cells.is_cpu()) {
    const auto [g, apart] = let_through(dy, cells, by);
    return g.sub(a).sub_(apart.mul(b)).mul_(by.scale).to(cells.scalar_type());
  }
  const std::int64_t channels = cells.size(1);
  at::Tensor dx = at::empty_like(cells);
  with_type(cells.scalar_type(), [&](auto t) {
    using T = decltype(t);
    for_cells(cells.size(0), [&](std::int64_t, std::int64_t first, std::int64_t count) {
      cell_kernels<T>().gradient(count, channels, data<T>(dy) + first * channels,
                                 data<T>(cells) + first * channels, by.pointers(), data<float>(a),
                                 data<float>(b), data<T>(dx) + first * channels);
    });
  });
  return dx;
}

// weight and bias may have no values: without affine.
Affine affine(const at::Tensor& mean, const at::Tensor& rstd, const at::Tensor& weight,
              const at::Tensor& bias, bool relu) {
  return {mean, weight.numel() > 0 ? rstd.mul(weight) : rstd,
          bias.numel() > 0 ? bias.contiguous() : at::zeros(mean.sizes(), mean.options()), relu};
}

struct Normalisation : torch::autograd::Function<Normalisation> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias, RunningStatistics* running, bool relu) {
    const at::Tensor cells = cells_of(x);
    const Moments m = moments(cells);
    check(m.count > 1, ExitCode::usage, "batch norm ", running->name,
          " sees one value of each channel, which says nothing; train on batches of two or more "
          "images");
    const at::TensorOptions options = weight.options();
    const at::Tensor mean = m.mean.to(options);
    running->mean.mul_(1 - momentum).add_(mean, momentum);
    running->var.mul_(1 - momentum).add_(m.m2.div(m.count - 1).to(options), momentum);
    running->batches.add_(1);
    const at::Tensor rstd = m.m2.div(m.count).add_(eps).rsqrt_().to(options);
    context->save_for_backward({cells, weight, bias, mean, rstd});
    context->saved_data["count"] = m.count;
    context->saved_data["relu"] = relu;
    return map_of(normalised(cells, affine(mean, rstd, weight, bias, relu)), x.sizes());
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &cells = saved[0], &weight = saved[1], &rstd = saved[4];
    const Affine by =
        affine(saved[3], rstd, weight, saved[2], context->saved_data["relu"].toBool());
    const at::Tensor dy = cells_of(gradients[0].to(cells.scalar_type()));
    at::Tensor sums = gradient_sums(dy, cells, by);
    at::Tensor dweight, dbias;
    if (weight.numel() > 0) {
      dbias = sums[0].to(rstd.options());
      dweight = sums[1].to(rstd.options()).mul_(rstd);
    }
    processes().sum(sums);
    const at::Tensor means = sums.div_(context->saved_data["count"].toDouble()).to(rstd.options());
    const at::Tensor dx = gradient(dy, cells, by, means[0], means[1].mul(rstd).mul_(rstd));
    return {map_of(dx, gradients[0].sizes()), dweight, dbias, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor BatchNorm::forward(const at::Tensor& x, bool relu) const {
  const at::Tensor none = at::empty({0}, running->mean.options());
  if (at::GradMode::is_enabled())
    return Normalisation::apply(x, weight ? leaf(*weight) : none, bias ? leaf(*bias) : none,
                                running, relu);
  const at::Tensor rstd = running->var.add(eps).rsqrt_();
  return map_of(normalised(cells_of(x), affine(running->mean, rstd, weight ? weight->value : none,
                                               bias ? bias->value : none, relu)),
                x.sizes());
}

}  // namespace sgmae
