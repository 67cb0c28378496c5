// The multi-layer perceptrons of MoCo v3 (Chen, Xie, He 2021, section 3): its projector and its
// predictor.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sgmae/dense/layers.h"

namespace sgmae {

// Linear layers without biases, each with a batch norm behind it, and ReLU between them. The last
// norm has no affine.
class ProjectionHead {
 public:
  // From sizes[0] to sizes.back() by way of the others. Parameters are named as PyTorch counts
  // (linear, norm, ReLU, linear …): NAME.0.weight, NAME.1.weight, NAME.1.bias, NAME.3.weight …
  ProjectionHead(const std::string& name, const std::vector<std::int64_t>& sizes, LayerMaker make);

  // x [n, sizes[0]] -> [n, sizes.back()] in `type`. Where gradients are recorded, batch norms take
  // the statistics of the images of all processes, which is a collective.
  at::Tensor forward(const at::Tensor& x, at::ScalarType type) const;

 private:
  struct Layer {
    Dense dense;
    BatchNorm norm;
  };
  std::vector<Layer> layers_;
};

}  // namespace sgmae
