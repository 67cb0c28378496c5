#include "sgmae/onnx/encoder.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>

#include <algorithm>
#include <cmath>

#include "sgmae/base/error.h"
#include "sgmae/onnx/layers.h"

namespace sgmae {
namespace {

constexpr double batch_norm_eps = 1e-6;  // of a linear probe's head

struct Builder : OnnxLayers {
  const VitConfig& config;

  // A branch of a block, times LayerScale where there is one, added to x.
  std::string add_branch(const std::string& x, std::string branch, const std::string& scale) const {
    if (config.layer_scale) branch = graph.node("Mul", {branch, weight(scale)});
    return graph.node("Add", {x, branch});
  }
};

std::int64_t whole_windows(std::int64_t side, std::int64_t window) {
  return (side + window - 1) / window;
}

// x [B, rows*columns, D] -> [B*windows, S*S, D]: into_windows.
std::string into_windows(const Builder& b, const std::string& x, std::int64_t side) {
  const std::int64_t rows = b.config.grid_height(), columns = b.config.grid_width(),
                     dim = b.config.size.dim, down = whole_windows(rows, side),
                     across = whole_windows(columns, side);
  std::string map = b.reshape(x, {0, rows, columns, dim});
  if (down * side > rows || across * side > columns)
    map = b.graph.node(
        "Pad",
        {map, b.graph.integers({0, 0, 0, 0, 0, down * side - rows, across * side - columns, 0})});
  map = b.reshape(map, {0, down, side, across, side, dim});
  return b.reshape(b.transpose(map, {0, 1, 3, 2, 4, 5}), {-1, side * side, dim});
}

// The inverse, which leaves out what lies beyond the grid.
std::string from_windows(const Builder& b, const std::string& x, std::int64_t side) {
  const std::int64_t rows = b.config.grid_height(), columns = b.config.grid_width(),
                     dim = b.config.size.dim, down = whole_windows(rows, side),
                     across = whole_windows(columns, side);
  std::string map = b.reshape(x, {-1, down, across, side, side, dim});
  map = b.reshape(b.transpose(map, {0, 1, 3, 2, 4, 5}), {0, down * side, across * side, dim});
  if (down * side > rows) map = b.slice(map, 1, 0, rows);
  if (across * side > columns) map = b.slice(map, 2, 0, columns);
  return b.reshape(map, {0, rows * columns, dim});
}

// [n, n]: how far row i lies behind column j, from 0 for the farthest ahead.
at::Tensor offsets(std::int64_t n) {
  const at::Tensor place = at::arange(n, at::kLong);
  return place.unsqueeze(1).sub(place).add_(n - 1);
}

// logits [B, heads, n, n] with what BEiT's table adds: a number for each head and offset.
std::string add_bias(const Builder& b, const std::string& logits, const std::string& name) {
  const std::int64_t rows = b.config.grid_height(), columns = b.config.grid_width(),
                     n = rows * columns;
  const at::Tensor& table = b.tensor(name);
  at::Tensor index = offsets(rows)
                         .mul(2 * columns - 1)
                         .view({rows, 1, rows, 1})
                         .add(offsets(columns).view({1, columns, 1, columns}))
                         .view({n, n});
  if (b.config.class_token) {  // from it to patches, from patches to it, to itself
    const std::int64_t special = table.size(0) - 3;
    index = at::constant_pad_nd(index, {1, 0, 1, 0}, special);
    index.select(1, 0).fill_(special + 1);
    index.select(1, 0).narrow(0, 0, 1).fill_(special + 2);
  }
  const std::string bias = b.graph.node(
      "Gather", {b.graph.weight(name, table), b.graph.indices("relative_position_index", index)});
  return b.graph.node("Add", {logits, b.transpose(bias, {2, 0, 1})});
}

// logits [B, heads, n, n] of queries q [B, heads, n, d] with q . R_h[rows apart] + q .
// R_w[columns apart], where tokens are those of a grid of rows x columns.
std::string add_decomposed(const Builder& b, const std::string& logits, const std::string& q,
                           const std::string& attention, std::int64_t rows, std::int64_t columns) {
  const std::int64_t d = b.config.size.dim / b.config.size.heads, heads = b.config.size.heads;
  // [side, d, side]: for each query's place the keys' rows, as a product takes them.
  const auto table = [&](const std::string& name, std::int64_t side) {
    const at::Tensor& all = b.tensor(name);
    return b.graph.weight(
        name + ".by_offset",
        all.index_select(0, offsets(side).view({-1})).view({side, side, d}).transpose(1, 2));
  };
  const std::string on_grid = b.reshape(q, {0, heads, rows, columns, d});
  const std::string by_row =
      b.graph.node("MatMul", {on_grid, table(attention + "rel_pos_h", rows)});
  const std::string by_column =
      b.transpose(b.graph.node("MatMul", {b.transpose(on_grid, {0, 1, 3, 2, 4}),
                                          table(attention + "rel_pos_w", columns)}),
                  {0, 1, 3, 2, 4});
  std::string sum = b.reshape(logits, {0, heads * rows, columns, rows, columns});
  sum = b.graph.node("Add", {sum, b.reshape(by_row, {0, heads * rows, columns, rows, 1})});
  sum = b.graph.node("Add", {sum, b.reshape(by_column, {0, heads * rows, columns, 1, columns})});
  return b.reshape(sum, {0, heads, rows * columns, rows * columns});
}

// Attention of block i on tokens x [B, n, D], which come from its first norm.
std::string attention(const Builder& b, std::int64_t i, std::string x) {
  const BlockAttention kind = b.config.attention_of(i);
  const std::int64_t dim = b.config.size.dim, heads = b.config.size.heads, d = dim / heads;
  const std::string name = str("blocks.", i, ".attn.");
  if (kind.window > 0) x = into_windows(b, x, kind.window);
  const std::vector<std::string> qkv =
      b.graph.node("Split", {b.linear(x, name + "qkv")},
                   {{"axis", std::int64_t{-1}}, {"num_outputs", std::int64_t{3}}}, 3);
  const auto of_heads = [&](const std::string& part, std::vector<std::int64_t> order) {
    return b.transpose(b.reshape(part, {0, 0, heads, d}), std::move(order));
  };
  const std::string q = of_heads(qkv[0], {0, 2, 1, 3}), k = of_heads(qkv[1], {0, 2, 3, 1}),
                    v = of_heads(qkv[2], {0, 2, 1, 3});
  const std::string scaled =
      b.graph.node("Mul", {q, b.number("attention_scale", 1 / std::sqrt(static_cast<double>(d)))});
  std::string scores = b.graph.node("MatMul", {scaled, k});
  if (kind.relative_position == RelativePosition::bias)
    scores = add_bias(b, scores, name + "relative_position_bias_table");
  if (kind.relative_position == RelativePosition::decomposed)
    scores =
        add_decomposed(b, scores, q, name, kind.window > 0 ? kind.window : b.config.grid_height(),
                       kind.window > 0 ? kind.window : b.config.grid_width());
  const std::string shares = b.graph.node("Softmax", {scores}, {{"axis", std::int64_t{-1}}});
  std::string out = b.transpose(b.graph.node("MatMul", {shares, v}), {0, 2, 1, 3});
  out = b.reshape(out, {0, 0, dim});
  if (kind.window > 0) out = from_windows(b, out, kind.window);
  return b.linear(out, name + "proj");
}

std::string block(const Builder& b, std::int64_t i, std::string x) {
  const std::string name = str("blocks.", i, ".");
  b.graph.scope(str("blocks.", i));
  const double eps = b.config.layer_norm_eps;
  x = b.add_branch(x, attention(b, i, b.layer_norm(x, name + "norm1", eps)), name + "ls1.gamma");
  const std::string hidden =
      b.graph.node("Gelu", {b.linear(b.layer_norm(x, name + "norm2", eps), name + "mlp.fc1")});
  return b.add_branch(x, b.linear(hidden, name + "mlp.fc2"), name + "ls2.gamma");
}

// Patches [B, N, D], each with its position.
std::string placed_patches(const Builder& b, const std::string& pixels, bool any_size) {
  const std::int64_t patch = b.config.patch_size, dim = b.config.size.dim;
  std::string map = b.graph.node(
      "Conv", {pixels, b.weight("patch_embed.proj.weight"), b.weight("patch_embed.proj.bias")},
      {{"kernel_shape", std::vector{patch, patch}}, {"strides", std::vector{patch, patch}}});
  if (b.config.position_embedding) {
    const at::Tensor table = b.tensor("pos_embed")
                                 .narrow(1, b.config.class_tokens(), b.config.n_patches())
                                 .transpose(1, 2)
                                 .reshape({1, dim, b.config.grid_height(), b.config.grid_width()});
    std::string positions = b.graph.weight("pos_embed.patches", table);
    if (any_size) {
      const std::string grid =
          b.graph.node("Shape", {map}, {{"start", std::int64_t{2}}, {"end", std::int64_t{4}}});
      const std::string size =
          b.graph.node("Concat", {b.graph.integers({1, dim}), grid}, {{"axis", std::int64_t{0}}});
      positions = b.graph.node("Resize", {positions, "", "", size},
                               {{"mode", std::string("cubic")},
                                {"cubic_coeff_a", -0.75f},
                                {"coordinate_transformation_mode", std::string("half_pixel")}});
    }
    map = b.graph.node("Add", {map, positions});
  }
  return b.transpose(b.reshape(map, {0, dim, -1}), {0, 2, 1});
}

// Class token, with its position, and registers in front of the patches.
std::string with_prefix(const Builder& b, const std::string& pixels, const std::string& patches) {
  if (b.config.prefix_tokens() == 0) return patches;
  std::vector<at::Tensor> tokens;
  if (b.config.class_token) {
    at::Tensor cls = b.tensor("cls_token").to(at::kFloat);
    if (b.config.position_embedding) cls = cls.add(b.tensor("pos_embed").narrow(1, 0, 1));
    tokens.push_back(cls);
  }
  if (b.config.registers > 0) tokens.push_back(b.tensor("reg_token").to(at::kFloat));
  const std::string prefix = b.graph.weight("prefix_tokens", at::cat(tokens, 1));
  const std::string batch =
      b.graph.node("Shape", {pixels}, {{"start", std::int64_t{0}}, {"end", std::int64_t{1}}});
  const std::string shape = b.graph.node(
      "Concat", {batch, b.graph.integers({b.config.prefix_tokens(), b.config.size.dim})},
      {{"axis", std::int64_t{0}}});
  return b.graph.node("Concat", {b.graph.node("Expand", {prefix, shape}), patches},
                      {{"axis", std::int64_t{1}}});
}

// What the first block reads.
std::string embedded(const Builder& b, const std::string& pixels, bool any_size) {
  b.graph.scope("embed");
  return with_prefix(b, pixels, placed_patches(b, pixels, any_size));
}

}  // namespace

std::string encoder_graph(OnnxGraph& graph, const VitConfig& config, const NamedTensors& weights,
                          const std::string& pixels, bool any_size) {
  const Builder b{{graph, weights}, config};
  std::string x = embedded(b, pixels, any_size);
  for (std::int64_t i = 0; i < config.size.depth; ++i) x = block(b, i, std::move(x));
  graph.scope("tokens");
  return config.has_final_norm() ? b.layer_norm(x, "norm", config.layer_norm_eps) : x;
}

std::vector<std::string> block_maps(OnnxGraph& graph, const VitConfig& config,
                                    const NamedTensors& weights, const std::string& pixels,
                                    const std::vector<std::int64_t>& blocks) {
  const Builder b{{graph, weights}, config};
  std::vector<std::string> maps;
  std::string x = embedded(b, pixels, /*any_size=*/false);
  for (std::int64_t i = 0; i <= blocks.back(); ++i) {
    x = block(b, i, std::move(x));
    if (std::ranges::find(blocks, i) != blocks.end()) maps.push_back(patch_map(graph, config, x));
  }
  return maps;
}

std::string class_token(OnnxGraph& graph, const VitConfig&, const std::string& tokens) {
  const std::string first =
      graph.node("Slice", {tokens, graph.integers({0}), graph.integers({1}), graph.integers({1})});
  return graph.node("Squeeze", {first, graph.integers({1})});
}

std::string patch_tokens(OnnxGraph& graph, const VitConfig& config, const std::string& tokens) {
  if (config.prefix_tokens() == 0) return tokens;
  return graph.node("Slice", {tokens, graph.integers({config.prefix_tokens()}),
                              graph.integers({std::int64_t{1} << 62}), graph.integers({1})});
}

std::string patch_map(OnnxGraph& graph, const VitConfig& config, const std::string& tokens) {
  const std::string columns = graph.node("Transpose", {patch_tokens(graph, config, tokens)},
                                         {{"perm", std::vector<std::int64_t>{0, 2, 1}}});
  return graph.node("Reshape",
                    {columns, graph.integers({0, 0, config.grid_height(), config.grid_width()})});
}

std::string mean_token(OnnxGraph& graph, const VitConfig& config, const NamedTensors& weights,
                       const std::string& tokens) {
  const std::string mean =
      graph.node("ReduceMean", {patch_tokens(graph, config, tokens), graph.integers({1})},
                 {{"keepdims", std::int64_t{0}}});
  const Builder b{{graph, weights}, config};
  return config.pooling == Pooling::mean ? b.layer_norm(mean, "fc_norm", config.layer_norm_eps)
                                         : mean;
}

std::string logits(OnnxGraph& graph, const VitConfig& config, const NamedTensors& weights,
                   const std::string& tokens) {
  const Builder b{{graph, weights}, config};
  graph.scope("head");
  std::string x = config.pooling == Pooling::cls ? class_token(graph, config, tokens)
                                                 : mean_token(graph, config, weights, tokens);
  if (!config.batch_norm_head) return b.linear(x, "head");
  const at::Tensor variance = b.tensor("head.0.running_var");
  x = graph.node("Sub", {x, b.weight("head.0.running_mean")});
  x = graph.node(
      "Mul", {x, graph.weight("head.0.scale", variance.add(batch_norm_eps).sqrt().reciprocal())});
  return b.linear(x, "head.1");
}

}  // namespace sgmae
