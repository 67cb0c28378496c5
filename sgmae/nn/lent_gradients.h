// Memory of gradients, lent to activations. Between an optimizer's step and the next backward pass
// nobody reads a gradient. What a decoder keeps for its backward pass, which is over before the
// encoder's begins, may lie where the gradients of the encoder's blocks will.
//   LentGradients memory(encoder_blocks);
//   at::Tensor h = memory.take({m, n}, at::kBFloat16);
//   memory.give_back();  // nobody uses h any more; now these blocks' backward pass may begin
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "sgmae/nn/block.h"

namespace sgmae {

class LentGradients {
 public:
  // Of blocks that follow one another in a model, and outlive this. There is nothing to take where
  // a gradient has been added to or is on loan already, nor where products are not our own, which
  // alone write a gradient without reading it (nn/products.h).
  explicit LentGradients(std::span<Block> blocks);
  ~LentGradients() { give_back(); }
  LentGradients(const LentGradients&) = delete;
  LentGradients& operator=(const LentGradients&) = delete;

  // Contiguous, from a cache line on, not initialised; undefined where too little is left.
  at::Tensor take(at::IntArrayRef sizes, at::ScalarType type);
  // Leaves gradients as zeros, but for weights of linear layers, which are written over
  // (Parameter::cleared).
  void give_back();

 private:
  std::vector<Parameter*> weights_;  // of linear layers, as they lie in memory; empty: nothing lent
  at::Tensor gradients_;             // flat
  at::Tensor left_;                  // [bytes] uint8, to be taken
};

}  // namespace sgmae
