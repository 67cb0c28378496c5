// Oracle: torchvision's roi_align and its gradient (tests/golden/detect.py), for both forms.
#include "sgmae/detect/roi_align.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <limits>

#include "sgmae/base/error.h"
#include "tests/detect/golden.h"

namespace sgmae {
namespace {

using Pool = at::Tensor (*)(const RoiAlign&, const at::Tensor&, const at::Tensor&);
const Pool forms[] = {[](const RoiAlign& align, const at::Tensor& feature,
                         const at::Tensor& boxes) { return align(feature, boxes); },
                      [](const RoiAlign& align, const at::Tensor& feature,
                         const at::Tensor& boxes) { return align.composed(feature, boxes); }};

class RoiAlignForms : public testing::TestWithParam<Pool> {};

// 1e-5: sums in another order.
TEST_P(RoiAlignForms, AreTorchvisionsWithTheirGradients) {
  const Golden& golden = golden_operations();
  for (const bool aligned : {true, false})
    for (const std::int64_t samples : {0, 2}) {
      const std::string key = str("roi.", aligned ? "aligned" : "plain", ".", samples, ".");
      const at::Tensor feature = golden["roi.feature"][0].clone().requires_grad_();
      const RoiAlign align{.size = 5, .scale = 1.0 / 16, .samples = samples, .aligned = aligned};
      const at::Tensor out = GetParam()(align, feature, golden["roi.boxes"]);
      EXPECT_LT(relative_error(out.detach(), golden[key + "out"]), 1e-5) << key;
      torch::autograd::backward({out}, {golden[key + "dout"]});
      EXPECT_LT(relative_error(feature.grad(), golden[key + "gradient"]), 1e-5) << key;
    }
}

TEST_P(RoiAlignForms, OfNoBoxesIsEmpty) {
  const at::Tensor out = GetParam()({}, at::randn({3, 8, 8}), at::randn({0, 4}));
  EXPECT_EQ(out.sizes(), (at::IntArrayRef{0, 3, 7, 7}));
}

INSTANTIATE_TEST_SUITE_P(All, RoiAlignForms, testing::ValuesIn(forms));

TEST(RoiAlign, BoxesThatAreNoNumbersGiveZeros) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const at::Tensor boxes =
      at::tensor(std::vector<float>{nan, 0, 10, 10, -inf, 0, inf, 10, 0, 3e38f, 10, 3e38f})
          .view({-1, 4});
  EXPECT_FALSE(RoiAlign{}(at::full({2, 8, 8}, 1.f), boxes).any().item<bool>());
}

TEST(RoiAlign, ItsGradientIsTheSameBitsForAnyNumberOfThreads) {
  const at::Tensor boxes = golden_operations()["roi.boxes"];
  at::Tensor first;
  for (const int threads : {1, 2, 5}) {
    at::set_num_threads(threads);
    const at::Tensor feature = golden_operations()["roi.feature"][0].clone().requires_grad_();
    torch::autograd::backward({RoiAlign{}(feature, boxes).square().sum()}, {});
    if (!first.defined()) first = feature.grad();
    EXPECT_TRUE(feature.grad().equal(first)) << threads;
  }
}

}  // namespace
}  // namespace sgmae
