// Oracle: ATen's convolution and its gradients in double.
#include "sgmae/dense/convolution.h"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <gtest/gtest.h>

#include "tests/support/tensors.h"

namespace sgmae {
namespace {

class Convolve : public testing::TestWithParam<at::ScalarType> {};

struct Shape {
  std::int64_t batch, height, width, in, out;
};

// Also more cells than are taken at a time, in one image and in several, and what Winograd's
// filtering takes.
TEST_P(Convolve, AndItsGradientsAreATens) {
  const at::ScalarType type = GetParam();
  for (const Shape& s : {Shape{2, 5, 7, 6, 9},
                         {1, 50, 60, 6, 9},
                         {5, 30, 20, 6, 9},
                         {1, 1, 1, 6, 9},
                         {1, 30, 33, 130, 128}}) {
    const auto map = [&](std::int64_t channels, std::uint64_t seed) {
      return noise({s.batch, channels, s.height, s.width}, seed)
          .to(type)
          .contiguous(at::MemoryFormat::ChannelsLast);
    };
    const at::Tensor x = map(s.in, 1), dy = map(s.out, 2), b = noise({s.out}, 4).to(type);
    const at::Tensor w =
        noise({s.out, s.in, 3, 3}, 3).to(type).contiguous(at::MemoryFormat::ChannelsLast);
    const auto exact = [](const at::Tensor& t) { return t.to(at::kDouble); };
    const auto [dx, dw, unused] =
        at::convolution_backward(exact(dy), exact(x), exact(w), std::nullopt, {1, 1}, {1, 1},
                                 {1, 1}, false, {0, 0}, 1, {true, true, false});
    // Results are rounded to bf16; the weight's gradient is not.
    const double tolerance = type == at::kFloat ? 2e-6 : 3e-3;
    EXPECT_LT(relative_error(convolve(x, w, b), at::conv2d(exact(x), exact(w), exact(b), 1, 1)),
              tolerance);
    EXPECT_LT(relative_error(convolve(x, w, {}), at::conv2d(exact(x), exact(w), {}, 1, 1)),
              tolerance);
    EXPECT_LT(relative_error(convolve_input_gradient(dy, x, w), dx), tolerance);
    EXPECT_LT(relative_error(convolve_weight_gradient(dy, x).permute({0, 3, 1, 2}), dw), 2e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Convolve, testing::Values(at::kFloat, at::kBFloat16));

}  // namespace
}  // namespace sgmae
