// Layers of dense heads. They run under LibTorch's autograd where gradients are recorded
// (at::GradMode), and add to the parameters' own gradients; the encoder below has a backward pass
// of its own (docs/architecture.md).
//
// Maps are [B, C, H, W] in channels-last memory, so that a norm over channels and a 1x1 convolution
// find a cell's values side by side.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <string>

#include "sgmae/dense/batch_norm.h"
#include "sgmae/nn/initialiser.h"
#include "sgmae/nn/parameter.h"

namespace sgmae {

// How the weights of a layer begin.
enum class Fill {
  plain,   // U(+-1 / sqrt(fan in)), the bias as well: PyTorch's own
  relu,    // N(0, 2 / fan out): He et al. 2015
  xavier,  // U(+-sqrt(3 / fan in))
  small,   // N(0, 0.01)
  smaller  // N(0, 0.001)
};

// What autograd sees of a parameter: the value itself where no gradients are recorded, else a leaf
// that shares value and gradient with it.
at::Tensor leaf(Parameter& parameter);

// Convolution that keeps the size (side 1 or 3), perhaps with a norm over channels in place of the
// bias. Computes in `type`; gives that, or fp32 behind a norm.
struct Convolution {
  Parameter *weight = nullptr, *bias = nullptr;            // [out, in, k, k], [out]
  Parameter *norm_weight = nullptr, *norm_bias = nullptr;  // [out]

  at::Tensor forward(const at::Tensor& x, at::ScalarType type) const;
};

// Convolution without bias, batch norm, ReLU.
struct NormedConvolution {
  Convolution convolution;
  BatchNorm norm;

  at::Tensor forward(const at::Tensor& x, at::ScalarType type) const {
    return norm.forward(convolution.forward(x, type), /*relu=*/true);
  }
};

// Transposed convolution of side and stride 2: doubles the size. Weight [in, out, 2, 2].
struct Doubling {
  Parameter *weight = nullptr, *bias = nullptr;

  at::Tensor forward(const at::Tensor& x, at::ScalarType type) const;
};

struct Dense {
  Parameter *weight = nullptr, *bias = nullptr;  // [out, in], [out]; null for no bias

  at::Tensor forward(const at::Tensor& x, at::ScalarType type) const;  // [n, in] -> [n, out]
};

// x [B, C, H, W] normalised over C, fp32.
at::Tensor channel_norm(const at::Tensor& x, Parameter& weight, Parameter& bias);

// x [B, C, H, W] at another size, bilinearly (align_corners false), in `type`.
at::Tensor resized(const at::Tensor& x, std::int64_t height, std::int64_t width,
                   at::ScalarType type);

// They add parameters named NAME.weight, NAME.bias, NAME.norm.weight …, and the running statistics
// of batch norms to a list, which outlives the layers.
class LayerMaker {
 public:
  explicit LayerMaker(Initialiser& init, std::deque<RunningStatistics>* running = nullptr)
      : init_(init), running_(running) {}

  Convolution convolution(const std::string& name, std::int64_t in, std::int64_t out,
                          std::int64_t side, bool norm, Fill fill);
  Doubling doubling(const std::string& name, std::int64_t in, std::int64_t out, Fill fill);
  Dense dense(const std::string& name, std::int64_t in, std::int64_t out, Fill fill,
              bool bias = true);
  BatchNorm batch_norm(const std::string& name, std::int64_t channels, bool affine = true);
  // Of NAME.conv and NAME.bn.
  NormedConvolution normed_convolution(const std::string& name, std::int64_t in, std::int64_t out,
                                       std::int64_t side);
  LayerNorm norm(const std::string& name, std::int64_t dim) { return init_.layer_norm(name, dim); }

 private:
  Parameter* weight(const std::string& name, at::IntArrayRef shape, std::int64_t fan_in,
                    std::int64_t fan_out, Fill fill);
  Parameter* bias(const std::string& name, std::int64_t n, std::int64_t fan_in, Fill fill);

  Initialiser& init_;
  std::deque<RunningStatistics>* running_;
};

}  // namespace sgmae
