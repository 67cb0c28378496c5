// A model's layers as operators of an OnnxGraph, with its weights under their own names. Maps are
// [B, C, H, W].
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sgmae/io/tensors.h"
#include "sgmae/onnx/graph.h"

namespace sgmae {

struct OnnxLayers {
  OnnxGraph& graph;
  const NamedTensors& weights;

  const at::Tensor& tensor(const std::string& name) const;  // one of the model's, which is there
  std::string weight(const std::string& name) const;        // the same, in the graph
  std::string number(const std::string& name, double value) const;

  // A side of the shape may be 0 (as it is) or, of one, -1 (what is left).
  std::string reshape(const std::string& x, const std::vector<std::int64_t>& shape) const;
  std::string transpose(const std::string& x, std::vector<std::int64_t> order) const;
  std::string slice(const std::string& x, std::int64_t axis, std::int64_t from, std::int64_t to,
                    std::int64_t step = 1) const;

  // They read NAME.weight and NAME.bias.
  std::string layer_norm(const std::string& x, const std::string& name, double eps) const;
  std::string linear(const std::string& x, const std::string& name) const;  // x [.., in]
  std::string doubled(const std::string& x, const std::string& name) const;

  // The same by values of the graph: a transposed convolution of side and stride 2.
  std::string doubled(const std::string& x, const std::string& weight,
                      const std::string& bias) const;
  // A convolution that keeps the size, by a weight in the graph whose side is 1 or 3; "" for no
  // bias.
  std::string convolution(const std::string& x, const std::string& weight, const std::string& bias,
                          std::int64_t side) const;
};

// A map at another size, bilinearly (corners not aligned).
std::string resized(OnnxGraph& graph, const std::string& map, std::int64_t height,
                    std::int64_t width);

}  // namespace sgmae
