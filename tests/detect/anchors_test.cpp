// Oracle: torchvision's AnchorGenerator, but for its rounding to pixels (tests/golden/detect.py).
#include "sgmae/detect/anchors.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "tests/detect/golden.h"

namespace sgmae {
namespace {

// 1e-6: the same sums in fp32.
TEST(Anchors, AreTorchvisions) {
  const at::Tensor ours = anchors({5, 7}, 16, {}, at::kCPU);
  ASSERT_EQ(ours.sizes(), (at::IntArrayRef{5 * 7 * 3, 4}));
  EXPECT_LT(relative_error(ours, golden_operations()["anchors"]), 1e-6);
}

TEST(Anchors, HaveTheAreaOfTheirScaleWhateverTheirRatio) {
  const at::Tensor ours = anchors({1, 1}, 4, {.scale = 5, .ratios = {0.25, 1, 4}}, at::kCPU);
  const at::Tensor width = ours.select(1, 2).sub(ours.select(1, 0));
  const at::Tensor height = ours.select(1, 3).sub(ours.select(1, 1));
  EXPECT_TRUE(width.mul(height).allclose(at::full({3}, 400.f)));
  EXPECT_TRUE(height.div(width).allclose(at::tensor({0.25f, 1.f, 4.f})));
}

}  // namespace
}  // namespace sgmae
