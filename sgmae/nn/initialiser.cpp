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

std::vector<Block> Initialiser::blocks(const std::string& prefix, const VitSize& size,
                                       std::int64_t mlp_hidden, bool layer_scale) {
  std::vector<Block> blocks;
  for (std::int64_t i = 0; i < size.depth; ++i) {
    const std::string name = str(prefix, i, ".");
    const std::size_t first = parameters_.size();
    Block block;
    block.norm1 = layer_norm(name + "norm1", size.dim);
    block.qkv = linear(name + "attn.qkv", size.dim, 3 * size.dim);
    block.proj = linear(name + "attn.proj", size.dim, size.dim);
    if (layer_scale) block.scale1 = constant(name + "ls1.gamma", {size.dim}, 1e-5f);
    block.norm2 = layer_norm(name + "norm2", size.dim);
    block.fc1 = linear(name + "mlp.fc1", size.dim, mlp_hidden);
    block.fc2 = linear(name + "mlp.fc2", mlp_hidden, size.dim);
    if (layer_scale) block.scale2 = constant(name + "ls2.gamma", {size.dim}, 1e-5f);
    block.heads = size.heads;
    block.parameters = {&parameters_[first], parameters_.size() - first};
    blocks.push_back(std::move(block));
  }
  return blocks;
}

}  // namespace sgmae
