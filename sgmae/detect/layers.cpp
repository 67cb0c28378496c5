#include "sgmae/detect/layers.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>

#include <cmath>

namespace sgmae {
namespace {

constexpr double norm_eps = 1e-6;

at::Tensor in_type(const at::Tensor& x, at::ScalarType type) {
  return x.scalar_type() == type ? x : x.to(type);
}

at::Tensor optional_leaf(Parameter* parameter, at::ScalarType type) {
  return parameter ? in_type(leaf(*parameter), type) : at::Tensor();
}

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
  const at::Tensor w = in_type(leaf(*weight), type), b = optional_leaf(bias, type);
  const std::int64_t side = w.size(2);
  const at::Tensor y =
      side == 1 ? at::linear(in_type(x, type).permute({0, 2, 3, 1}), w.view({w.size(0), -1}), b)
                      .permute({0, 3, 1, 2})
                : at::conv2d(in_type(x, type).contiguous(at::MemoryFormat::ChannelsLast),
                             w.contiguous(at::MemoryFormat::ChannelsLast), b, /*stride=*/1,
                             /*padding=*/side / 2);
  return norm_weight ? channel_norm(y, *norm_weight, *norm_bias) : y;
}

at::Tensor Doubling::forward(const at::Tensor& x, at::ScalarType type) const {
  // No two inputs meet in an output: a product for each input, whose 2x2 outputs are put in place.
  const at::Tensor w = in_type(leaf(*weight), type);
  const std::int64_t batch = x.size(0), height = x.size(2), width = x.size(3), out = w.size(1);
  const at::Tensor by_place = w.permute({2, 3, 1, 0}).reshape({4 * out, w.size(0)});
  const at::Tensor b = in_type(leaf(*bias), type).repeat({4});
  return at::linear(in_type(x, type).permute({0, 2, 3, 1}), by_place, b)
      .view({batch, height, width, 2, 2, out})
      .transpose(2, 3)
      .reshape({batch, 2 * height, 2 * width, out})
      .permute({0, 3, 1, 2});
}

at::Tensor Dense::forward(const at::Tensor& x, at::ScalarType type) const {
  return at::linear(in_type(x, type), in_type(leaf(*weight), type), in_type(leaf(*bias), type));
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

Doubling LayerMaker::doubling(const std::string& name, std::int64_t in, std::int64_t out,
                              Fill fill) {
  // PyTorch counts a transposed convolution's fans as those of the convolution it transposes.
  Doubling layer;
  layer.weight = weight(name + ".weight", {in, out, 2, 2}, 4 * out, 4 * in, fill);
  layer.bias = bias(name + ".bias", out, 4 * out, fill);
  return layer;
}

Dense LayerMaker::dense(const std::string& name, std::int64_t in, std::int64_t out, Fill fill) {
  Dense layer;
  layer.weight = weight(name + ".weight", {out, in}, in, out, fill);
  layer.bias = bias(name + ".bias", out, in, fill);
  return layer;
}

}  // namespace sgmae
