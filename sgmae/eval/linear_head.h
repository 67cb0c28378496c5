// The head of MAE's linear probe (method.md 2.4): batch norm without scale and shift, then one
// linear layer. Under MAE's names: head.0 the statistics, head.1 the layer.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "sgmae/io/safetensors.h"
#include "sgmae/nn/parameter.h"

namespace sgmae {

class LinearHead {
 public:
  static constexpr double eps = 1e-6, momentum = 0.1;  // of the batch norm

  // Weights N(0, 0.01), cut at +-2, from `seed`; bias 0; running mean 0 and variance 1.
  LinearHead(std::int64_t dim, std::int64_t classes, std::uint64_t seed);

  std::int64_t classes() const { return parameters_[0].value.size(0); }

  // Logits [B, classes] of features [B, D] fp32, normalised by the running statistics.
  at::Tensor scores(const at::Tensor& features) const;

  // Has forward_backward normalise by the statistics of all processes' batches together. It is then
  // a collective.
  void synchronise_statistics() { synchronised_ = true; }

  // Normalises by the batch's own statistics, and adds loss_scale * d loss / d parameter to the
  // gradients. Returns the mean cross-entropy. Labels 0 .. classes-1.
  double forward_backward(const at::Tensor& features, const std::vector<std::int64_t>& labels,
                          double loss_scale = 1.0);
  // Moves the running statistics by those of the batches since the last call, in their order; of
  // several processes, by those of all batches in the order of one process.
  void move_statistics();

  // head.1.weight [classes, D] and head.1.bias [classes].
  std::vector<Parameter>& parameters() { return parameters_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }

  // Sets the statistics [D] with which features are normalised.
  void set_statistics(const at::Tensor& mean, const at::Tensor& variance);

  // The parameters, head.0.running_mean, head.0.running_var [D], head.0.num_batches_tracked
  // (sharing memory with the head).
  NamedTensors tensors() const;
  // Throws Error(checkpoint) when one of them is missing or of another shape.
  void load(const TensorFile& file);

 private:
  std::vector<Parameter> parameters_;
  at::Tensor running_mean_, running_var_, batches_;
  bool synchronised_ = false;
  std::vector<at::Tensor> seen_;  // [2, D] mean and unbiased variance of batches
};

}  // namespace sgmae
