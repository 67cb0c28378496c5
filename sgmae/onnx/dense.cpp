#include "sgmae/onnx/dense.h"

#include <ATen/ops/zeros.h>

#include <algorithm>

#include "sgmae/base/error.h"
#include "sgmae/onnx/layers.h"

namespace sgmae {
namespace {

constexpr double layer_norm_eps = 1e-6, batch_norm_eps = 1e-5;

// A map of half the size; a single row or column cannot be halved.
std::string halved(OnnxGraph& graph, const VitConfig& config, const std::string& map) {
  const std::vector<std::int64_t> half{std::min<std::int64_t>(2, config.grid_height()),
                                       std::min<std::int64_t>(2, config.grid_width())};
  return graph.node("MaxPool", {map}, {{"kernel_shape", half}, {"strides", half}});
}

// Batch norm by the running statistics, as which it is a factor and a number for each channel. The
// convolution beside it takes them into its weights: variances as small as those of quiet channels
// are nothing in half precision.
struct Affine {
  at::Tensor factor, shift;  // [C] fp64
};

Affine batch_norm(const OnnxLayers& layers, const std::string& name) {
  const auto exact = [&](const char* part) { return layers.tensor(name + part).to(at::kDouble); };
  Affine affine;
  affine.factor = exact(".running_var").add(batch_norm_eps).rsqrt();
  if (find_tensor(layers.weights, name + ".weight"))
    affine.factor = affine.factor.mul(exact(".weight"));
  affine.shift = exact(".running_mean").mul(affine.factor).neg();
  if (find_tensor(layers.weights, name + ".bias")) affine.shift = affine.shift.add(exact(".bias"));
  return affine;
}

// NormedConvolution: convolution NAME.conv, batch norm NAME.bn, ReLU.
std::string normed_convolution(const OnnxLayers& layers, const std::string& x,
                               const std::string& name) {
  const Affine norm = batch_norm(layers, name + ".bn");
  const at::Tensor& weight = layers.tensor(name + ".conv.weight");
  return layers.graph.node(
      "Relu", {layers.convolution(x,
                                  layers.graph.weight(name + ".conv.weight.normed",
                                                      weight.mul(norm.factor.view({-1, 1, 1, 1}))),
                                  layers.graph.weight(name + ".conv.bias.normed", norm.shift),
                                  weight.size(2))});
}

// SegmentNeck::forward.
std::vector<std::string> neck(const OnnxLayers& layers, const VitConfig& config,
                              const std::vector<std::string>& maps) {
  layers.graph.scope("neck");
  const Affine norm = batch_norm(layers, "fpn1.1");
  const std::string twice = layers.doubled(
      maps[0],
      layers.graph.weight("fpn1.0.weight.normed",
                          layers.tensor("fpn1.0.weight").mul(norm.factor.view({1, -1, 1, 1}))),
      layers.graph.weight("fpn1.0.bias.normed",
                          layers.tensor("fpn1.0.bias").mul(norm.factor).add(norm.shift)));
  return {layers.doubled(layers.graph.node("Gelu", {twice}), "fpn1.3"),
          layers.doubled(maps[1], "fpn2.0"), maps[2], halved(layers.graph, config, maps[3])};
}

// [parts, cells]: the means of cells over parts, which overlap where they do not divide them.
at::Tensor part_means(std::int64_t cells, std::int64_t parts) {
  at::Tensor means = at::zeros({parts, cells});
  for (std::int64_t i = 0; i < parts; ++i) {
    const std::int64_t from = i * cells / parts, to = ((i + 1) * cells + parts - 1) / parts;
    means[i].slice(0, from, to).fill_(1.0 / static_cast<double>(to - from));
  }
  return means;
}

struct Size {
  std::int64_t height, width;
};

// UperHead::features of the neck's maps, whose sizes these are, and the classifier.
std::string uper_logits(const OnnxLayers& layers, const SegmenterConfig& config,
                        const std::vector<std::string>& levels, const std::vector<Size>& sizes) {
  OnnxGraph& graph = layers.graph;
  const auto together = [&](const std::vector<std::string>& maps, const std::string& name) {
    return normed_convolution(layers, graph.node("Concat", maps, {{"axis", std::int64_t{1}}}),
                              name);
  };
  graph.scope("decode_head/pools");
  const auto [rows, columns] = sizes[3];
  std::vector<std::string> pooled{levels[3]};
  for (std::size_t i = 0; i < config.pool_scales.size(); ++i) {
    const std::int64_t scale = config.pool_scales[i];
    const std::string of_rows = graph.weight(str("mean_of_", rows, "_by_", scale),
                                             part_means(rows, scale)),
                      of_columns =
                          graph.weight(str("mean_of_", columns, "_by_", scale, ".transposed"),
                                       part_means(columns, scale).t());
    const std::string means =
        graph.node("MatMul", {of_rows, graph.node("MatMul", {levels[3], of_columns})});
    pooled.push_back(
        resized(graph, normed_convolution(layers, means, str("decode_head.psp_modules.", i, ".1")),
                rows, columns));
  }
  std::vector<std::string> outs(4);
  std::string above = outs[3] = together(pooled, "decode_head.bottleneck");
  graph.scope("decode_head/levels");
  for (std::size_t i = 3; i-- > 0;) {
    const std::string lateral =
        normed_convolution(layers, levels[i], str("decode_head.lateral_convs.", i));
    above = graph.node("Add", {lateral, resized(graph, above, sizes[i].height, sizes[i].width)});
    outs[i] = normed_convolution(layers, above, str("decode_head.fpn_convs.", i));
  }
  for (std::size_t i = 1; i < 4; ++i)
    outs[i] = resized(graph, outs[i], sizes[0].height, sizes[0].width);
  graph.scope("decode_head");
  return layers.convolution(together(outs, "decode_head.fpn_bottleneck"),
                            layers.weight("decode_head.classifier.weight"),
                            layers.weight("decode_head.classifier.bias"), 1);
}

// LinearSegmentHead::logits: its norm comes first.
std::string linear_logits(const OnnxLayers& layers, const std::vector<std::string>& maps) {
  layers.graph.scope("decode_head");
  const Affine norm = batch_norm(layers, "decode_head.bn");
  const at::Tensor weight = layers.tensor("decode_head.classifier.weight").to(at::kDouble);
  const at::Tensor shift = weight.flatten(1).matmul(norm.shift);
  return layers.convolution(
      layers.graph.node("Concat", maps, {{"axis", std::int64_t{1}}}),
      layers.graph.weight("decode_head.classifier.weight.normed",
                          weight.mul(norm.factor.view({1, -1, 1, 1}))),
      layers.graph.weight("decode_head.classifier.bias.normed",
                          layers.tensor("decode_head.classifier.bias").add(shift)),
      1);
}

}  // namespace

std::vector<std::string> pyramid_graph(OnnxGraph& graph, const VitConfig& config,
                                       const NamedTensors& weights, const std::string& map) {
  const OnnxLayers layers{graph, weights};
  graph.scope("pyramid");
  const auto norm = [&](const std::string& x, const std::string& name) {
    return layers.transpose(
        layers.layer_norm(layers.transpose(x, {0, 2, 3, 1}), name, layer_norm_eps), {0, 3, 1, 2});
  };
  const auto convolution = [&](const std::string& x, const std::string& name, std::int64_t side) {
    return norm(layers.convolution(x, layers.weight(name + ".weight"), "", side), name + ".norm");
  };
  // What follows each change of size: names go on counting behind it.
  const auto output = [&](const std::string& x, const std::string& level, int first) {
    return convolution(convolution(x, str(level, first), 1), str(level, first + 1), 3);
  };
  const std::string twice =
      graph.node("Gelu", {norm(layers.doubled(map, "backbone.simfp_2.0"), "backbone.simfp_2.1")});
  std::vector<std::string> levels{
      output(layers.doubled(twice, "backbone.simfp_2.3"), "backbone.simfp_2.", 4),
      output(layers.doubled(map, "backbone.simfp_3.0"), "backbone.simfp_3.", 1),
      output(map, "backbone.simfp_4.", 0),
      output(halved(graph, config, map), "backbone.simfp_5.", 1)};
  const std::int64_t end = std::int64_t{1} << 62;
  levels.push_back(layers.slice(layers.slice(levels.back(), 2, 0, end, 2), 3, 0, end, 2));
  return levels;
}

std::string segment_logits(OnnxGraph& graph, const SegmenterConfig& config,
                           const NamedTensors& weights, const std::vector<std::string>& maps) {
  const OnnxLayers layers{graph, weights};
  if (config.head == SegmentHead::linear) return linear_logits(layers, maps);
  const VitConfig& vit = config.backbone;
  const std::int64_t rows = vit.grid_height(), columns = vit.grid_width();
  return uper_logits(
      layers, config, neck(layers, vit, maps),
      {{4 * rows, 4 * columns},
       {2 * rows, 2 * columns},
       {rows, columns},
       {std::max<std::int64_t>(1, rows / 2), std::max<std::int64_t>(1, columns / 2)}});
}

std::string pixel_labels(OnnxGraph& graph, const VitConfig& config, const std::string& logits) {
  graph.scope("labels");
  return graph.node("ArgMax", {resized(graph, logits, config.height, config.width)},
                    {{"axis", std::int64_t{1}}, {"keepdims", std::int64_t{0}}});
}

}  // namespace sgmae
