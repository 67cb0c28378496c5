// MAE's decoder without its first and last linear layer: transformer blocks and a final norm over
// all tokens, of which only the last of every image are wanted, since no loss looks at others.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "sgmae/nn/block.h"
#include "sgmae/nn/lent_gradients.h"

namespace sgmae {

struct DecoderTrace {
  std::unique_ptr<LentGradients> memory;  // set by the caller for what fits of the blocks, or null
  std::vector<BlockTrace> blocks;         // the last block's MLP: wanted rows only
  Normed norm;                            // wanted rows only
};

struct Decoder {
  std::vector<Block> blocks;
  LayerNorm norm;

  void prepare(at::ScalarType type) {
    for (Block& block : blocks) block.prepare(type);
  }

  // x [B*tokens, D] fp32 as `shape` says -> [B*n_last, D] activations after the norm. Where
  // `checkpointed` the trace, which may be null, keeps what enters all blocks but the last.
  at::Tensor forward(const StreamShape& shape, const at::Tensor& x, std::int64_t n_last,
                     bool checkpointed, DecoderTrace* trace) const;

  // Adds the gradients of all parameters for dnormed, the gradient of forward's result; returns
  // that of x. Frees the trace's blocks as it goes, and then gives memory back.
  at::Tensor backward(const StreamShape& shape, const at::Tensor& dnormed, DecoderTrace& trace,
                      const GradientsReady& ready);
};

}  // namespace sgmae
