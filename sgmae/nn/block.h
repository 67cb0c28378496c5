// One pre-norm transformer block: x += proj(attention(norm1(x))); x += fc2(gelu(fc1(norm2(x)))).
// With LayerScale each branch is multiplied by a learned vector before it is added, with drop path
// by a factor per image.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>

#include "sgmae/nn/attention.h"
#include "sgmae/nn/ops.h"
#include "sgmae/nn/parameter.h"
#include "sgmae/nn/products.h"
#include "sgmae/nn/taps.h"

namespace sgmae {

struct Linear {
  Parameter* weight = nullptr;
  Parameter* bias = nullptr;
  at::Tensor w, b;  // weight [N, K] and bias [N] as products take them, mostly the same memory

  void prepare(at::ScalarType type);  // refresh w and b for activations of this type
  at::Tensor forward(const at::Tensor& x, const at::Tensor& y = {}) const {
    return linear(x, w, b, y);
  }
  // Adds the gradients of weight, bias or both for dy [M, N], x [M, K]. Costs nothing where they
  // are not trained.
  void add_weight_gradient(const at::Tensor& dy, const at::Tensor& x);
  void add_bias_gradient(const at::Tensor& dy);
  void add_gradients(const at::Tensor& dy, const at::Tensor& x);
  at::Tensor input_gradient(const at::Tensor& dy) const;  // dy [M, N] -> [M, K]
};

struct LayerNorm {
  Parameter* weight = nullptr;
  Parameter* bias = nullptr;

  Normed forward(const at::Tensor& x, const at::Tensor& delta, double eps, at::ScalarType t) const {
    return add_layer_norm(x, delta, weight->value, bias->value, eps, t);
  }
  // dx += the gradient through this norm.
  void backward(const at::Tensor& dy, const Normed& normed, at::Tensor& dx) {
    at::Tensor dweight = gradient_memory(*weight), dbias = gradient_memory(*bias);
    layer_norm_backward(dy, normed, weight->value, dx, dweight, dbias);
  }
};

// The residual stream between blocks: x + delta, the sum left to the next LayerNorm, which needs
// both anyway.
struct Stream {
  at::Tensor x;      // [B*n, D] fp32
  at::Tensor delta;  // [B*n, D] activations, or undefined for none

  at::Tensor value() const { return delta.defined() ? x.add(delta) : x; }
};

struct Block {
  LayerNorm norm1;
  Linear qkv, proj;
  AttentionShape attention;
  Parameter* scale1 = nullptr;  // [D] LayerScale of the attention branch; null for none
  LayerNorm norm2;
  Linear fc1, fc2;
  Parameter* scale2 = nullptr;      // [D] of the MLP branch
  std::span<Parameter> parameters;  // all of the above

  void prepare(at::ScalarType type) {
    for (Linear* layer : {&qkv, &proj, &fc1, &fc2}) layer->prepare(type);
  }
};

// Drop path: what each image's branch is multiplied by, 0 or 1 / keep probability. [B] fp32, or
// undefined for 1.
struct DropPath {
  at::Tensor attention, mlp;
};

// What the backward pass needs of a forward pass. What follows from it value by value is not kept
// but computed again, to the same bits: norms and GELU's output would be half as much again. The
// memory of the largest, qkv and h, may be the caller's, who then defines them before the pass.
struct AttentionTrace {
  at::Tensor x;    // [B*n, D] fp32, the block's input
  at::Tensor qkv;  // [B, n, 3, D]; with windows [B*windows, S*S, 3, D], and so is attended
  Attended attended;
  at::Tensor branch;     // [B*n, D] before LayerScale; undefined without it
  at::Tensor drop_path;  // [B] or undefined
};

struct MlpTrace {
  Stream input;  // its x shares the attention's memory
  at::Tensor h;  // [B*n, mlp] before GELU
  at::Tensor branch, drop_path;
};

// What the backward pass needs of a block; or what it needs to make that again.
struct BlockTrace {
  AttentionTrace attention;
  MlpTrace mlp;

  Stream input;  // of a checkpoint, in which the traces above are empty
  DropPath drop_path;
};

struct StreamShape {
  std::int64_t batch, tokens, dim;
  double eps;
  at::ScalarType type;
  GridSize grid = {};  // of the images; only windows and relative positions look at it
};

// `trace` and `taps` may be null; `name` is the taps' prefix, e.g. "encoder.3.".
void block_forward(const Block& block, const StreamShape& shape, Stream& stream, BlockTrace* trace,
                   Taps* taps, const std::string& name, const DropPath& drop_path = {});

// In place of the trace of a block_forward without one (Chen et al. 2016).
BlockTrace checkpoint(const Stream& input, const DropPath& drop_path);

// dx [B*n, D] fp32: gradient of the block's output on entry, of its input on return.
void block_backward(Block& block, const StreamShape& shape, const BlockTrace& trace,
                    at::Tensor& dx);

// The two halves of a block, for a caller that needs only some tokens of its output: attention
// mixes tokens, the MLP takes each by itself.
void attention_forward(const Block& block, const StreamShape& shape, Stream& stream,
                       AttentionTrace* trace, Taps* taps, const std::string& name,
                       const at::Tensor& drop_path = {});
void mlp_forward(const Block& block, const StreamShape& shape, Stream& stream, MlpTrace* trace,
                 Taps* taps, const std::string& name, const at::Tensor& drop_path = {});
void attention_backward(Block& block, const StreamShape& shape, const AttentionTrace& trace,
                        at::Tensor& dx);
void mlp_backward(Block& block, const StreamShape& shape, const MlpTrace& trace, at::Tensor& dx);

}  // namespace sgmae
