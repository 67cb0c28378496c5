#include "sgmae/onnx/layers.h"

#include <ATen/ops/full.h>

#include "sgmae/base/error.h"

namespace sgmae {

const at::Tensor& OnnxLayers::tensor(const std::string& name) const {
  const at::Tensor* found = find_tensor(weights, name);
  SGMAE_ASSERT(found);
  return *found;
}

std::string OnnxLayers::weight(const std::string& name) const {
  return graph.weight(name, tensor(name));
}

std::string OnnxLayers::number(const std::string& name, double value) const {
  return graph.weight(name, at::full({}, value));
}

std::string OnnxLayers::reshape(const std::string& x,
                                const std::vector<std::int64_t>& shape) const {
  return graph.node("Reshape", {x, graph.integers(shape)});
}

std::string OnnxLayers::transpose(const std::string& x, std::vector<std::int64_t> order) const {
  return graph.node("Transpose", {x}, {{"perm", std::move(order)}});
}

std::string OnnxLayers::slice(const std::string& x, std::int64_t axis, std::int64_t from,
                              std::int64_t to, std::int64_t step) const {
  return graph.node("Slice", {x, graph.integers({from}), graph.integers({to}),
                              graph.integers({axis}), graph.integers({step})});
}

std::string OnnxLayers::layer_norm(const std::string& x, const std::string& name,
                                   double eps) const {
  return graph.node("LayerNormalization", {x, weight(name + ".weight"), weight(name + ".bias")},
                    {{"axis", std::int64_t{-1}}, {"epsilon", static_cast<float>(eps)}});
}

std::string OnnxLayers::linear(const std::string& x, const std::string& name) const {
  const at::Tensor& w = tensor(name + ".weight");  // [out, in]: transposed in the graph
  const std::string product =
      graph.node("MatMul", {x, graph.weight(name + ".weight.transposed", w.t())});
  return graph.node("Add", {product, weight(name + ".bias")});
}

std::string OnnxLayers::doubled(const std::string& x, const std::string& name) const {
  return doubled(x, weight(name + ".weight"), weight(name + ".bias"));
}

std::string OnnxLayers::doubled(const std::string& x, const std::string& weight,
                                const std::string& bias) const {
  const std::vector<std::int64_t> two{2, 2};
  return graph.node("ConvTranspose", {x, weight, bias}, {{"kernel_shape", two}, {"strides", two}});
}

std::string OnnxLayers::convolution(const std::string& x, const std::string& weight,
                                    const std::string& bias, std::int64_t side) const {
  std::vector<std::string> inputs{x, weight};
  if (!bias.empty()) inputs.push_back(bias);
  return graph.node("Conv", inputs,
                    {{"kernel_shape", std::vector{side, side}},
                     {"pads", std::vector<std::int64_t>(4, side / 2)}});
}

std::string resized(OnnxGraph& graph, const std::string& map, std::int64_t height,
                    std::int64_t width) {
  return graph.node("Resize", {map, "", "", graph.integers({height, width})},
                    {{"mode", std::string("linear")},
                     {"axes", std::vector<std::int64_t>{2, 3}},
                     {"coordinate_transformation_mode", std::string("half_pixel")}});
}

}  // namespace sgmae
