// Oracle: maps enlarged, put side by side and convolved, in double, under autograd.
#include "sgmae/dense/upsampled_convolution.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "tests/support/tensors.h"

namespace sgmae {
namespace {

struct Case {
  std::vector<std::vector<std::int64_t>> sizes;  // channels, rows, columns
  at::ScalarType type;
};

class UpsampledConvolution : public testing::TestWithParam<Case> {};

at::Tensor leaf_of(const at::Tensor& value) {
  return value.detach().clone().requires_grad_();
}

TEST_P(UpsampledConvolution, IsThatOfTheEnlargedMaps) {
  const auto& [sizes, type] = GetParam();
  const at::AutoGradMode record(true);
  constexpr std::int64_t batch = 2, out = 70;
  std::vector<at::Tensor> levels, exact_levels, enlarged;
  std::int64_t channels = 0;
  for (const auto& size : sizes) {
    levels.push_back(
        leaf_of(at::randn({batch, size[0], size[1], size[2]}).to(type).to(at::kFloat)));
    exact_levels.push_back(leaf_of(levels.back().to(at::kDouble)));
    enlarged.push_back(
        at::upsample_bilinear2d(exact_levels.back(), {sizes[0][1], sizes[0][2]}, false));
    channels += size[0];
  }
  const at::Tensor weight = leaf_of(at::randn({out, channels, 3, 3}).to(type).to(at::kFloat));
  const at::Tensor exact_weight = leaf_of(weight.to(at::kDouble));
  const at::Tensor exact = at::conv2d(at::cat(enlarged, 1), exact_weight, {}, 1, 1);
  const at::Tensor result = convolve_upsampled(levels, weight, type);
  const at::Tensor dy = at::randn(exact.sizes()).to(type).to(at::kFloat);
  torch::autograd::backward({exact}, {dy.to(at::kDouble)});
  torch::autograd::backward({result}, {dy});
  // bf16 rounds the products of a tap, 2^-9 of each.
  const double tolerance = type == at::kFloat ? 2e-6 : 5e-3;
  EXPECT_EQ(result.scalar_type(), at::kFloat);
  EXPECT_LT(relative_error(result, exact), tolerance);
  for (std::size_t i = 0; i < levels.size(); ++i)
    EXPECT_LT(relative_error(levels[i].grad(), exact_levels[i].grad()), tolerance) << i;
  EXPECT_LT(relative_error(weight.grad(), exact_weight.grad()), tolerance);
}

INSTANTIATE_TEST_SUITE_P(
    Sizes, UpsampledConvolution,
    testing::Values(Case{{{5, 16, 16}, {6, 8, 8}, {7, 4, 4}, {3, 2, 2}}, at::kFloat},
                    Case{{{5, 16, 16}, {6, 8, 8}, {7, 4, 4}, {3, 2, 2}}, at::kBFloat16},
                    Case{{{4, 19, 33}, {4, 9, 17}, {4, 5, 8}, {4, 1, 1}}, at::kFloat},
                    Case{{{9, 8, 6}, {4, 1, 1}, {4, 2, 2}, {4, 3, 3}, {4, 6, 6}}, at::kFloat},
                    Case{{{4, 7, 9}, {4, 7, 9}}, at::kFloat}, Case{{{4, 6, 5}}, at::kFloat}));

}  // namespace
}  // namespace sgmae
