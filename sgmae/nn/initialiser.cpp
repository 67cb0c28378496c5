#include "sgmae/nn/initialiser.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <cmath>

#include "sgmae/base/error.h"
#include "sgmae/base/rng.h"

namespace sgmae {

template <class Draw>
at::Tensor Initialiser::drawn(at::IntArrayRef shape, Draw draw) const {
  at::Tensor tensor = at::empty(shape, at::kFloat);
  if (!seed_) return tensor;
  Rng rng(*seed_, 0, parameters_.size(), Purpose::initialise);
  float* values = tensor.data_ptr<float>();
  for (std::int64_t i = 0; i < tensor.numel(); ++i) values[i] = static_cast<float>(draw(rng));
  return tensor;
}

Parameter* Initialiser::add(const std::string& name, at::Tensor value, bool trained) {
  SGMAE_ASSERT(parameters_.size() < parameters_.capacity());
  at::Tensor grad =
      trained ? at::empty(value.sizes(), value.options().device(at::kMeta)) : at::Tensor();
  parameters_.push_back({name, std::move(value), std::move(grad)});
  return &parameters_.back();
}

Parameter* Initialiser::constant(const std::string& name, at::IntArrayRef shape, float value) {
  return add(name, at::full(shape, value, at::kFloat), true);
}

Parameter* Initialiser::fixed(const std::string& name, at::Tensor value) {
  return add(name, std::move(value), false);
}

Parameter* Initialiser::trained(const std::string& name, at::Tensor value) {
  return add(name, std::move(value), true);
}

Parameter* Initialiser::uniform(const std::string& name, at::IntArrayRef shape, double bound) {
  return add(name, drawn(shape, [&](Rng& rng) { return rng.uniform(-bound, bound); }), true);
}

Parameter* Initialiser::normal(const std::string& name, at::IntArrayRef shape, double deviation) {
  return add(name, drawn(shape, [&](Rng& rng) { return deviation * rng.normal(); }), true);
}

Parameter* Initialiser::xavier(const std::string& name, at::IntArrayRef shape, std::int64_t fan_in,
                               std::int64_t fan_out) {
  return uniform(name, shape, std::sqrt(6.0 / static_cast<double>(fan_in + fan_out)));
}

Linear Initialiser::linear(const std::string& name, std::int64_t in, std::int64_t out) {
  Linear layer;
  layer.weight = xavier(name + ".weight", {out, in}, in, out);
  layer.bias = constant(name + ".bias", {out}, 0);
  return layer;
}

LayerNorm Initialiser::layer_norm(const std::string& name, std::int64_t dim) {
  LayerNorm norm;
  norm.weight = constant(name + ".weight", {dim}, 1);
  norm.bias = constant(name + ".bias", {dim}, 0);
  return norm;
}

Block Initialiser::block(const std::string& name, const VitSize& size, std::int64_t mlp_hidden,
                         bool layer_scale) {
  Block block;
  block.norm1 = layer_norm(name + "norm1", size.dim);
  block.qkv = linear(name + "attn.qkv", size.dim, 3 * size.dim);
  block.proj = linear(name + "attn.proj", size.dim, size.dim);
  if (layer_scale) block.scale1 = constant(name + "ls1.gamma", {size.dim}, 1e-5f);
  block.norm2 = layer_norm(name + "norm2", size.dim);
  block.fc1 = linear(name + "mlp.fc1", size.dim, mlp_hidden);
  block.fc2 = linear(name + "mlp.fc2", mlp_hidden, size.dim);
  if (layer_scale) block.scale2 = constant(name + "ls2.gamma", {size.dim}, 1e-5f);
  block.attention.heads = size.heads;
  return block;
}

std::vector<Block> Initialiser::blocks(const std::string& prefix, const VitSize& size,
                                       std::int64_t mlp_hidden) {
  std::vector<Block> blocks;
  for (std::int64_t i = 0; i < size.depth; ++i) {
    const std::size_t first = parameters_.size();
    blocks.push_back(block(str(prefix, i, "."), size, mlp_hidden, /*layer_scale=*/false));
    blocks.back().parameters = {&parameters_[first], parameters_.size() - first};
  }
  return blocks;
}

std::vector<Block> Initialiser::blocks(const std::string& prefix, const VitConfig& config) {
  std::vector<Block> blocks;
  for (std::int64_t i = 0; i < config.size.depth; ++i) {
    const std::string name = str(prefix, i, ".");
    const std::size_t first = parameters_.size();
    blocks.push_back(block(name, config.size, config.mlp_hidden, config.layer_scale));
    AttentionShape& shape = blocks.back().attention;
    shape.rows = config.grid_height();
    shape.columns = config.grid_width();
    shape.class_tokens = config.class_tokens();
    shape.window = config.attention_of(i).window;
    const std::int64_t rows_apart = 2 * shape.side_rows() - 1;
    const std::int64_t columns_apart = 2 * shape.side_columns() - 1;
    const std::int64_t head_dim = config.size.dim / config.size.heads;
    switch (config.attention_of(i).relative_position) {
      case RelativePosition::none:
        break;
      case RelativePosition::decomposed:
        shape.rel_pos_h = constant(name + "attn.rel_pos_h", {rows_apart, head_dim}, 0);
        shape.rel_pos_w = constant(name + "attn.rel_pos_w", {columns_apart, head_dim}, 0);
        break;
      case RelativePosition::bias:
        shape.bias_table = constant(
            name + "attn.relative_position_bias_table",
            {rows_apart * columns_apart + (config.class_token ? 3 : 0), config.size.heads}, 0);
    }
    blocks.back().parameters = {&parameters_[first], parameters_.size() - first};
  }
  return blocks;
}

}  // namespace sgmae
