#include "sgmae/dense/layers.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

#include "sgmae/base/error.h"
#include "sgmae/dense/convolution.h"
#include "sgmae/nn/ops.h"
#include "sgmae/nn/products.h"

namespace sgmae {
namespace {

constexpr double norm_eps = 1e-6;

at::Tensor in_type(const at::Tensor& x, at::ScalarType type) {
  return x.scalar_type() == type ? x : x.to(type);
}

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// y = x w^T + b for x [M, K] in any type, w [N, K] and b [N] fp32, or [0] for none. The
// gradients of w and b are summed in fp32, whatever x is; autograd's own would round them to its
// type.
struct Product : torch::autograd::Function<Product> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& w,
                            const at::Tensor& b) {
    const at::Tensor rounded = in_type(w, x.scalar_type());
    context->save_for_backward({x, rounded});
    context->saved_data["bias"] = b.numel() > 0;
    return linear(
        x, rounded,
        b.numel() > 0 ? in_type(b, x.scalar_type()) : at::zeros({w.size(0)}, x.options()));
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &w = saved[1];
    const at::Tensor dy = in_type(gradients[0], x.scalar_type()).contiguous();
    at::Tensor dw = at::zeros(w.sizes(), w.options().dtype(at::kFloat)), db;
    linear_weight_grad(dy, x, dw, /*zeros=*/true);
    if (context->saved_data["bias"].toBool()) {
      db = at::zeros({dw.size(0)}, dw.options());
      bias_grad(dy, db);
    }
    return {linear_input_grad(dy, w), dw, db};
  }
};

at::Tensor product(const at::Tensor& x, const at::Tensor& w, const at::Tensor& b,
                   at::ScalarType type) {
  return Product::apply(in_type(x, type).contiguous(), w, b);
}

// The same of the channels of maps [B, C, H, W], cell by cell.
at::Tensor product_of_channels(const at::Tensor& x, const at::Tensor& w, const at::Tensor& b,
                               at::ScalarType type) {
  const at::Tensor cells = x.permute({0, 2, 3, 1});
  return product(cells.reshape({-1, x.size(1)}), w, b, type)
      .view({x.size(0), x.size(2), x.size(3), w.size(0)})
      .permute({0, 3, 1, 2});
}

// A 3x3 convolution of maps x [B, C, H, W] in any type, which keeps their size, by w [O, C, 3, 3]
// and b [O] fp32, or [0] for none. As in Product the gradient of w is summed in fp32.
struct Convolved : torch::autograd::Function<Convolved> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& w,
                            const at::Tensor& b) {
    const at::Tensor rounded =
        in_type(w, x.scalar_type()).contiguous(at::MemoryFormat::ChannelsLast);
    context->save_for_backward({x, rounded});
    context->saved_data["bias"] = b.numel() > 0;
    return convolve(x, rounded, b.numel() > 0 ? in_type(b, x.scalar_type()) : at::Tensor());
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &w = saved[1];
    const at::Tensor dy =
        in_type(gradients[0], x.scalar_type()).contiguous(at::MemoryFormat::ChannelsLast);
    at::Tensor db;
    if (context->saved_data["bias"].toBool()) {
      db = at::zeros({dy.size(1)}, dy.options().dtype(at::kFloat));
      bias_grad(dy.permute({0, 2, 3, 1}).reshape({-1, dy.size(1)}), db);
    }
    return {convolve_input_gradient(dy, x, w),
            convolve_weight_gradient(dy, x).permute({0, 3, 1, 2}), db};
  }
};

}  // namespace

at::Tensor leaf(Parameter& parameter) {
  if (!at::GradMode::is_enabled()) return parameter.value;
  parameter.cleared = false;  // this gradient is added to by other means than a product
  at::Tensor shared = parameter.value.detach();
  shared.requires_grad_();
  shared.mutable_grad() = parameter.grad;
  return shared;
}

at::Tensor channel_norm(const at::Tensor& x, Parameter& weight, Parameter& bias) {
  return at::layer_norm(in_type(x.permute({0, 2, 3, 1}), at::kFloat), {x.size(1)}, leaf(weight),
                        leaf(bias), norm_eps)
      .permute({0, 3, 1, 2});
}

at::Tensor Convolution::forward(const at::Tensor& x, at::ScalarType type) const {
  const at::Tensor w = leaf(*weight),
                   b = bias ? leaf(*bias) : at::empty({0}, weight->value.options());
  const at::Tensor y =
      w.size(2) == 1
          ? product_of_channels(x, w.view({w.size(0), -1}), b, type)
          : Convolved::apply(in_type(x, type).contiguous(at::MemoryFormat::ChannelsLast), w, b);
  return norm_weight ? channel_norm(y, *norm_weight, *norm_bias) : y;
}

at::Tensor Doubling::forward(const at::Tensor& x, at::ScalarType type) const {
  // No two inputs meet in an output: a product for each input, whose 2x2 outputs are put in place.
  const at::Tensor w = leaf(*weight);
  const std::int64_t batch = x.size(0), height = x.size(2), width = x.size(3), out = w.size(1);
  const at::Tensor by_place = w.permute({2, 3, 1, 0}).reshape({4 * out, w.size(0)});
  return product_of_channels(x, by_place, leaf(*bias).repeat({4}), type)
      .permute({0, 2, 3, 1})
      .view({batch, height, width, 2, 2, out})
      .transpose(2, 3)
      .reshape({batch, 2 * height, 2 * width, out})
      .permute({0, 3, 1, 2});
}

at::Tensor Dense::forward(const at::Tensor& x, at::ScalarType type) const {
  const at::Tensor w = leaf(*weight), b = bias ? leaf(*bias) : at::empty({0}, w.options());
  return product(x, w, b, type);
}

at::Tensor resized(const at::Tensor& x, std::int64_t height, std::int64_t width,
                   at::ScalarType type) {
  const at::Tensor typed = in_type(x, type);
  if (x.size(2) == height && x.size(3) == width) return typed;
  return at::upsample_bilinear2d(typed.contiguous(at::MemoryFormat::ChannelsLast), {height, width},
                                 /*align_corners=*/false);
}

Parameter* LayerMaker::weight(const std::string& name, at::IntArrayRef shape, std::int64_t fan_in,
                              std::int64_t fan_out, Fill fill) {
  const auto in = static_cast<double>(fan_in), out = static_cast<double>(fan_out);
  switch (fill) {
    case Fill::plain:
      return init_.uniform(name, shape, 1 / std::sqrt(in));
    case Fill::relu:
      return init_.normal(name, shape, std::sqrt(2 / out));
    case Fill::xavier:
      return init_.uniform(name, shape, std::sqrt(3 / in));
    case Fill::small:
      return init_.normal(name, shape, 0.01);
    case Fill::smaller:
      break;
  }
  return init_.normal(name, shape, 0.001);
}

Parameter* LayerMaker::bias(const std::string& name, std::int64_t n, std::int64_t fan_in,
                            Fill fill) {
  if (fill == Fill::plain)
    return init_.uniform(name, {n}, 1 / std::sqrt(static_cast<double>(fan_in)));
  return init_.constant(name, {n}, 0);
}

Convolution LayerMaker::convolution(const std::string& name, std::int64_t in, std::int64_t out,
                                    std::int64_t side, bool norm, Fill fill) {
  Convolution layer;
  const std::int64_t cells = side * side;
  layer.weight = weight(name + ".weight", {out, in, side, side}, in * cells, out * cells, fill);
  if (norm) {
    const LayerNorm over_channels = init_.layer_norm(name + ".norm", out);
    layer.norm_weight = over_channels.weight, layer.norm_bias = over_channels.bias;
  } else {
    layer.bias = bias(name + ".bias", out, in * cells, fill);
  }
  return layer;
}

BatchNorm LayerMaker::batch_norm(const std::string& name, std::int64_t channels, bool affine) {
  SGMAE_ASSERT(running_);
  BatchNorm layer;
  if (affine) {
    layer.weight = init_.constant(name + ".weight", {channels}, 1);
    layer.bias = init_.constant(name + ".bias", {channels}, 0);
  }
  running_->push_back(
      {name, at::zeros({channels}), at::ones({channels}), at::zeros({}, at::kLong)});
  layer.running = &running_->back();
  return layer;
}

NormedConvolution LayerMaker::normed_convolution(const std::string& name, std::int64_t in,
                                                 std::int64_t out, std::int64_t side) {
  NormedConvolution layer;
  const std::int64_t cells = side * side;
  layer.convolution.weight =
      weight(name + ".conv.weight", {out, in, side, side}, in * cells, out * cells, Fill::relu);
  layer.norm = batch_norm(name + ".bn", out);
  return layer;
}

Doubling LayerMaker::doubling(const std::string& name, std::int64_t in, std::int64_t out,
                              Fill fill) {
  // PyTorch counts a transposed convolution's fans as those of the convolution it transposes.
  Doubling layer;
  layer.weight = weight(name + ".weight", {in, out, 2, 2}, 4 * out, 4 * in, fill);
  layer.bias = bias(name + ".bias", out, 4 * out, fill);
  return layer;
}

Dense LayerMaker::dense(const std::string& name, std::int64_t in, std::int64_t out, Fill fill,
                        bool bias) {
  Dense layer;
  layer.weight = weight(name + ".weight", {out, in}, in, out, fill);
  if (bias) layer.bias = this->bias(name + ".bias", out, in, fill);
  return layer;
}

}  // namespace sgmae
