// Oracle: ATen's own transposed convolution; closed forms; autograd's gradients through leaves that
// share memory with parameters.
#include "sgmae/dense/layers.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/conv_transpose2d.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "sgmae/nn/initialiser.h"
#include "tests/support/tensors.h"

namespace sgmae {
namespace {

class DetectLayers : public testing::Test {
 protected:
  DetectLayers() { parameters_.reserve(20); }

  void made() { flatten_gradients(parameters_); }

  std::vector<Parameter> parameters_;
  Initialiser init_{parameters_, 7};
  LayerMaker make_{init_};
};

TEST_F(DetectLayers, DoublingIsTheTransposedConvolution) {
  const Doubling layer = make_.doubling("up", 6, 5, Fill::plain);
  const at::Tensor x = noise({2, 6, 3, 4}, 1);
  const at::Tensor expected =
      at::conv_transpose2d(x, layer.weight->value, layer.bias->value, {2, 2});
  EXPECT_LT(relative_error(layer.forward(x, at::kFloat), expected), 1e-6);
}

TEST_F(DetectLayers, ConvolutionsKeepTheSizeAndHaveANormInPlaceOfABias) {
  const at::Tensor x = noise({1, 4, 5, 6}, 1);
  const Convolution plain = make_.convolution("a", 4, 7, 1, false, Fill::plain);
  EXPECT_LT(relative_error(plain.forward(x, at::kFloat),
                           at::conv2d(x, plain.weight->value, plain.bias->value)),
            1e-6);
  const Convolution normed = make_.convolution("b", 4, 7, 3, true, Fill::relu);
  EXPECT_EQ(normed.bias, nullptr);
  const at::Tensor map = at::conv2d(x, normed.weight->value, {}, 1, 1);
  const at::Tensor expected =
      at::layer_norm(map.permute({0, 2, 3, 1}), {7}, {}, {}, 1e-6).permute({0, 3, 1, 2});
  EXPECT_LT(relative_error(normed.forward(x, at::kFloat), expected), 1e-5);
  EXPECT_EQ(parameters_[2].name, "b.weight");
  EXPECT_EQ(parameters_[3].name, "b.norm.weight");
}

TEST_F(DetectLayers, ADenseLayerMayHaveNoBias) {
  const Dense layer = make_.dense("fc", 3, 2, Fill::plain, /*bias=*/false);
  made();
  EXPECT_EQ(parameters_.size(), 1u);
  const at::Tensor x = noise({5, 3}, 1), dy = noise({5, 2}, 2);
  const at::AutoGradMode record(true);
  const at::Tensor y = layer.forward(x, at::kFloat);
  EXPECT_LT(relative_error(y.detach(), x.mm(layer.weight->value.t())), 1e-6);
  torch::autograd::backward({y}, {dy});
  EXPECT_LT(relative_error(layer.weight->grad, dy.t().mm(x)), 1e-6);
}

TEST_F(DetectLayers, GradientsOfSeveralUsesAddUpInTheParametersOwnMemory) {
  const Dense layer = make_.dense("fc", 3, 2, Fill::xavier);
  made();
  layer.weight->cleared = true;
  const at::Tensor one = noise({4, 3}, 1), two = noise({5, 3}, 2);
  const auto* const memory = layer.weight->grad.data_ptr<float>();
  {
    const at::AutoGradMode record(true);
    torch::autograd::backward(
        {layer.forward(one, at::kFloat).sum().add(layer.forward(two, at::kFloat).sum())}, {});
  }
  EXPECT_EQ(layer.weight->grad.data_ptr<float>(), memory);
  EXPECT_FALSE(layer.weight->cleared);
  const at::Tensor expected = one.sum(0).add(two.sum(0)).expand({2, 3});
  EXPECT_LT(relative_error(layer.weight->grad, expected), 1e-6);
  EXPECT_LT(relative_error(layer.bias->grad, at::zeros({2}).add(9)), 1e-6);
  EXPECT_FALSE(layer.weight->value.requires_grad());
}

// In bf16 the gradients of weights are sums in fp32 of products of bf16 numbers, which are exact:
// 1e-5 of a sum in double. Rounded to bf16 they would be 2e-3 away. 3,100 cells are taken in two
// parts.
TEST_F(DetectLayers, GradientsOfWeightsAreSummedInFp32) {
  const Convolution three = make_.convolution("a", 4, 6, 3, false, Fill::plain);
  const Convolution one = make_.convolution("b", 4, 6, 1, false, Fill::plain);
  made();
  const auto rounded = [](const at::Tensor& x) { return x.to(at::kBFloat16).to(at::kDouble); };
  const at::Tensor x = noise({1, 4, 62, 50}, 1), dy = noise({1, 6, 62, 50}, 2);
  for (const Convolution& layer : {three, one}) {
    {
      const at::AutoGradMode record(true);
      const at::Tensor y = layer.forward(x, at::kBFloat16);
      torch::autograd::backward({y}, {dy.to(at::kBFloat16)});
    }
    at::Tensor w = layer.weight->value.to(at::kDouble).requires_grad_();
    {
      const at::AutoGradMode record(true);
      torch::autograd::backward({at::conv2d(rounded(x), w, {}, 1, w.size(2) / 2)}, {rounded(dy)});
    }
    EXPECT_LT(relative_error(layer.weight->grad, w.grad()), 1e-5);
    EXPECT_LT(relative_error(layer.bias->grad, rounded(dy).sum({0, 2, 3})), 1e-5);
  }
}

TEST_F(DetectLayers, BeginAsTheirPublishedModels) {
  const auto deviation = [](const Parameter* p) { return p->value.std().item<double>(); };
  const std::int64_t n = 64;
  // 64 * 64 * 9 values: deviations within 2 %.
  const auto conv = [&](Fill fill) {
    return deviation(make_.convolution("c", n, n, 3, false, fill).weight);
  };
  EXPECT_NEAR(conv(Fill::relu), std::sqrt(2.0 / (9 * n)), 0.02 * std::sqrt(2.0 / (9 * n)));
  EXPECT_NEAR(conv(Fill::small), 0.01, 0.0002);
  EXPECT_NEAR(conv(Fill::smaller), 0.001, 0.00002);
  EXPECT_NEAR(conv(Fill::xavier), 1 / std::sqrt(9.0 * n), 0.02 / std::sqrt(9.0 * n));
  EXPECT_NEAR(conv(Fill::plain), 1 / std::sqrt(3 * 9.0 * n), 0.02 / std::sqrt(3 * 9.0 * n));
}

}  // namespace
}  // namespace sgmae
