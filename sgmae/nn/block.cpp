#include "sgmae/nn/block.h"

#include <utility>

#include "sgmae/base/error.h"

namespace sgmae {

void Linear::prepare(at::ScalarType type) {
  const at::Tensor flat = weight->value.view({weight->value.size(0), -1});
  if (type == at::kFloat || has_products(flat.device())) {
    w = flat;
    b = bias->value;
  } else if (w.defined() && w.scalar_type() == type && w.device() == flat.device()) {
    round_to(flat, w);
    round_to(bias->value, b);
  } else {
    w = flat.to(type);
    b = bias->value.to(type);
  }
}

void Linear::add_weight_gradient(const at::Tensor& dy, const at::Tensor& x) {
  if (!weight->trained()) return;
  at::Tensor flat = weight->grad.view({weight->grad.size(0), -1});
  const bool zeros = std::exchange(weight->cleared, false);
  // What somebody added without saying so would be lost.
  SGMAE_ASSERT(!zeros || !flat[0].any().item<bool>());
  linear_weight_grad(dy, x, flat, zeros);
}

void Linear::add_bias_gradient(const at::Tensor& dy) {
  if (bias->trained()) bias_grad(dy, bias->grad);
}

void Linear::add_gradients(const at::Tensor& dy, const at::Tensor& x) {
  add_weight_gradient(dy, x);
  add_bias_gradient(dy);
}

at::Tensor Linear::input_gradient(const at::Tensor& dy) const {
  return linear_input_grad(dy, w);
}

namespace {

// branch [B*n, D] times LayerScale's vector and drop path's factor per image.
at::Tensor scaled(at::Tensor branch, const Parameter* scale, const at::Tensor& per_image,
                  const StreamShape& shape) {
  if (scale) branch = branch.mul(scale->value.to(shape.type));
  if (per_image.defined())
    branch = branch.view({shape.batch, shape.tokens, shape.dim})
                 .mul(per_image.to(branch.options()).view({shape.batch, 1, 1}))
                 .view({shape.batch * shape.tokens, shape.dim});
  return branch;
}

// The gradient of `branch` for d = the gradient of scaled(branch, …); adds LayerScale's own.
at::Tensor scaled_backward(at::Tensor d, Parameter* scale, const at::Tensor& per_image,
                           const at::Tensor& branch, const StreamShape& shape) {
  d = scaled(d, nullptr, per_image, shape);
  if (!scale) return d;
  if (scale->trained()) scale->grad.add_(d.mul(branch).sum(at::IntArrayRef{0}, false, at::kFloat));
  return scaled(d, scale, {}, shape);
}

}  // namespace

void attention_forward(const Block& block, const StreamShape& shape, Stream& stream,
                       AttentionTrace* trace, Taps* taps, const std::string& name,
                       const at::Tensor& drop_path) {
  const auto [batch, tokens, dim, eps, type, grid] = shape;
  const auto wants = [&](const char* what) { return taps && taps->wants(name + what); };

  const Normed norm = block.norm1.forward(stream.x, stream.delta, eps, type);
  const AttentionShape around = block.attention.on(grid);
  // What lies beyond the grid is zeros, of which the products are the bias.
  const at::Tensor qkv = into_windows(block.qkv.forward(norm.y, trace ? trace->qkv : at::Tensor()),
                                      around, block.qkv.b)
                             .view({batch * around.windows(), -1, 3, dim});
  Attended attended = attention(qkv, around);
  const at::Tensor out = from_windows(attended.out.view({-1, dim}), around);  // [B*n, D]
  if (wants("attention")) taps->put(name + "attention", attention_weights(qkv, around));
  if (wants("attention_out"))
    taps->put(name + "attention_out", out.to(at::kFloat).view({batch, tokens, dim}));
  if (wants("key"))
    taps->put(name + "key", from_windows(qkv.select(2, 1).reshape({-1, dim}), around)
                                .to(at::kFloat)
                                .view({batch, tokens, dim}));

  const at::Tensor branch = block.proj.forward(out);
  stream = {norm.sum, scaled(branch, block.scale1, drop_path, shape)};
  if (trace)
    *trace = {norm.sum, qkv, std::move(attended), block.scale1 ? branch : at::Tensor(), drop_path};
}

void mlp_forward(const Block& block, const StreamShape& shape, Stream& stream, MlpTrace* trace,
                 Taps* taps, const std::string& name, const at::Tensor& drop_path) {
  const auto [batch, tokens, dim, eps, type, grid] = shape;
  const auto wants = [&](const char* what) { return taps && taps->wants(name + what); };

  const Stream input = stream;
  Normed norm = block.norm2.forward(stream.x, stream.delta, eps, type);
  if (wants("attention_add"))
    taps->put(name + "attention_add", norm.sum.view({batch, tokens, dim}));
  const at::Tensor h = block.fc1.forward(norm.y, trace ? trace->h : at::Tensor());
  norm.y.reset();
  const at::Tensor branch = block.fc2.forward(gelu(h));
  stream = {norm.sum, scaled(branch, block.scale2, drop_path, shape)};
  if (wants("block_out"))
    taps->put(name + "block_out", stream.value().view({batch, tokens, dim}).contiguous());
  if (trace) *trace = {input, h, block.scale2 ? branch : at::Tensor(), drop_path};
}

void block_forward(const Block& block, const StreamShape& shape, Stream& stream, BlockTrace* trace,
                   Taps* taps, const std::string& name, const DropPath& drop_path) {
  attention_forward(block, shape, stream, trace ? &trace->attention : nullptr, taps, name,
                    drop_path.attention);
  mlp_forward(block, shape, stream, trace ? &trace->mlp : nullptr, taps, name, drop_path.mlp);
}

BlockTrace checkpoint(const Stream& input, const DropPath& drop_path) {
  BlockTrace trace;
  trace.input = input;
  trace.drop_path = drop_path;
  return trace;
}

void mlp_backward(Block& block, const StreamShape& shape, const MlpTrace& trace, at::Tensor& dx) {
  const at::Tensor d =
      scaled_backward(dx.to(shape.type), block.scale2, trace.drop_path, trace.branch, shape);
  block.fc2.add_gradients(d, gelu(trace.h));
  at::Tensor dh = block.fc2.input_gradient(d);
  at::Tensor dbias = gradient_memory(*block.fc1.bias);
  gelu_backward(trace.h, dh, dbias);
  const Normed norm = block.norm2.forward(trace.input.x, trace.input.delta, shape.eps, shape.type);
  block.fc1.add_weight_gradient(dh, norm.y);
  block.norm2.backward(block.fc1.input_gradient(dh), norm, dx);
}

void attention_backward(Block& block, const StreamShape& shape, const AttentionTrace& trace,
                        at::Tensor& dx) {
  const auto [batch, tokens, dim, eps, type, grid] = shape;
  const at::Tensor d =
      scaled_backward(dx.to(type), block.scale1, trace.drop_path, trace.branch, shape);
  const AttentionShape around = block.attention.on(grid);
  block.proj.add_gradients(d, from_windows(trace.attended.out.view({-1, dim}), around));
  const at::Tensor dattended =
      into_windows(block.proj.input_gradient(d), around).view(trace.attended.out.sizes());
  at::Tensor dqkv =
      attention_backward(dattended, trace.qkv, trace.attended, around).view({-1, 3 * dim});
  block.qkv.add_bias_gradient(dqkv);
  dqkv = from_windows(dqkv, around);
  const Normed norm = block.norm1.forward(trace.x, {}, eps, type);
  block.qkv.add_weight_gradient(dqkv, norm.y);
  block.norm1.backward(block.qkv.input_gradient(dqkv), norm, dx);
}

void block_backward(Block& block, const StreamShape& shape, const BlockTrace& trace,
                    at::Tensor& dx) {
  if (trace.input.x.defined()) {
    Stream stream = trace.input;
    BlockTrace again;
    block_forward(block, shape, stream, &again, nullptr, {}, trace.drop_path);
    stream = {};
    block_backward(block, shape, again, dx);
    return;
  }
  mlp_backward(block, shape, trace.mlp, dx);
  attention_backward(block, shape, trace.attention, dx);
}

}  // namespace sgmae
