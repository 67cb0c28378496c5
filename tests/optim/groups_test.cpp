// Oracle: MAE's published groups (names and shapes of method.md 2.3), and sums done by hand.
#include "sgmae/optim/groups.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/other_device.h"

namespace sgmae {
namespace {

Parameter shaped(const std::string& name, std::vector<std::int64_t> shape) {
  return {name, at::zeros(shape), at::Tensor()};
}

TEST(Groups, DecayFollowsMae) {
  EXPECT_TRUE(is_decayed(shaped("cls_token", {1, 1, 8})));
  EXPECT_TRUE(is_decayed(shaped("mask_token", {1, 1, 8})));
  EXPECT_TRUE(is_decayed(shaped("patch_embed.proj.weight", {8, 3, 2, 2})));
  EXPECT_TRUE(is_decayed(shaped("blocks.0.attn.qkv.weight", {24, 8})));
  EXPECT_FALSE(is_decayed(shaped("blocks.0.attn.qkv.bias", {24})));
  EXPECT_FALSE(is_decayed(shaped("blocks.0.norm1.weight", {8})));
  EXPECT_FALSE(is_decayed(shaped("relative.bias", {4, 4})));
}

TEST(Groups, GradientNormIsEuclideanOverAllTrainedOnEitherDevice) {
  std::vector<Parameter> parameters;
  parameters.push_back({"a", at::zeros({4}), at::full({4}, 2.0)});
  parameters.push_back({"fixed", at::zeros({4}), at::Tensor()});
  // 100,000 threes: more than one block, and a remainder.
  parameters.push_back({"b", at::zeros({100003}), at::full({100003}, 3.0)});
  const double expected = std::sqrt(4 * 4.0 + 100003 * 9.0);
  // Sixteen float partial sums of 1,024 terms each: far below 1e-6 relative.
  EXPECT_NEAR(gradient_norm(parameters).item<double>(), expected, 1e-6 * expected);
  move_parameters(parameters, other_device());
  EXPECT_NEAR(gradient_norm(parameters).item<double>(), expected,
              1e-5 * expected);  // plain fp32 sums
  zero_gradients(parameters);
  EXPECT_EQ(gradient_norm(parameters).item<double>(), 0);
}

TEST(Groups, GradientNormShowsASingleBadEntryOnEitherDevice) {
  std::vector<Parameter> parameters{{"a", at::zeros({70000}), at::full({70000}, 1.0)}};
  parameters[0].grad.data_ptr<float>()[69999] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(std::isfinite(gradient_norm(parameters).item<double>()));
  parameters[0].grad.data_ptr<float>()[69999] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(std::isfinite(gradient_norm(parameters).item<double>()));
  move_parameters(parameters, other_device());
  EXPECT_FALSE(std::isfinite(gradient_norm(parameters).item<double>()));
}

}  // namespace
}  // namespace sgmae
