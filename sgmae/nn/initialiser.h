// Makes the parameters of a model with the initial weights of MAE (method.md 2.1).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/nn/block.h"
#include "sgmae/nn/config.h"
#include "sgmae/nn/parameter.h"

namespace sgmae {

// Adds parameters to a list whose capacity holds them all: layers keep pointers into it. Each
// tensor has a random stream of its own, keyed by its position in the list. Without a seed nothing
// is drawn, and what would have been stays undefined until it is written: for weights from a file.
// Gradients are only shapes until flatten_gradients, which ends the making of a model.
class Initialiser {
 public:
  Initialiser(std::vector<Parameter>& parameters, std::optional<std::uint64_t> seed)
      : parameters_(parameters), seed_(seed) {}

  Parameter* constant(const std::string& name, at::IntArrayRef shape, float value);
  Parameter* fixed(const std::string& name, at::Tensor value);    // not trained
  Parameter* trained(const std::string& name, at::Tensor value);  // from a given value
  Parameter* uniform(const std::string& name, at::IntArrayRef shape, double bound);
  Parameter* normal(const std::string& name, at::IntArrayRef shape, double deviation);
  // Xavier-uniform on the [fan_out, fan_in] view.
  Parameter* xavier(const std::string& name, at::IntArrayRef shape, std::int64_t fan_in,
                    std::int64_t fan_out);

  Linear linear(const std::string& name, std::int64_t in, std::int64_t out);
  LayerNorm layer_norm(const std::string& name, std::int64_t dim);
  // Blocks named <prefix>0, <prefix>1 …: plain ones; or an encoder's, with LayerScale, which begins
  // at 1e-5 (DINOv2), and relative positions, which begin at zero (ViTDet, BEiT).
  std::vector<Block> blocks(const std::string& prefix, const VitSize& size,
                            std::int64_t mlp_hidden);
  std::vector<Block> blocks(const std::string& prefix, const VitConfig& config);

 private:
  Parameter* add(const std::string& name, at::Tensor value, bool trained);
  Block block(const std::string& name, const VitSize& size, std::int64_t mlp_hidden,
              bool layer_scale);
  template <class Draw>
  at::Tensor drawn(at::IntArrayRef shape, Draw draw) const;

  std::vector<Parameter>& parameters_;
  std::optional<std::uint64_t> seed_;
};

}  // namespace sgmae
