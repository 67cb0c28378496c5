// Oracle: ATen's convolution and its gradients in double.
#include "sgmae/dense/winograd.h"

#include <ATen/Parallel.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <gtest/gtest.h>

#include <array>

#include "sgmae/base/error.h"
#include "sgmae/nn/products.h"
#include "tests/support/tensors.h"

namespace sgmae {
namespace {

struct Shape {
  std::int64_t batch, height, width, in, out;
};

class Winograd : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    if (!has_products(at::kCPU)) GTEST_SKIP() << "no products of our own for these instructions";
  }

  at::Tensor map(const Shape& s, std::int64_t channels, std::uint64_t seed) const {
    return noise({s.batch, channels, s.height, s.width}, seed)
        .to(GetParam())
        .contiguous(at::MemoryFormat::ChannelsLast);
  }
};

// Sides that tiles do not divide, maps smaller than a tile, channels that vectors and strips do not
// divide, and more tiles than are looked at together.
TEST_P(Winograd, ConvolutionAndItsGradientsAreATens) {
  for (const Shape& s : {Shape{2, 5, 7, 6, 9},
                         {1, 1, 1, 3, 40},
                         {3, 8, 12, 33, 64},
                         {2, 50, 61, 20, 17},
                         {70, 7, 7, 48, 32},
                         {1, 16, 16, 512, 96}}) {
    SCOPED_TRACE(str(s.batch, " of ", s.height, "x", s.width, ", ", s.in, " to ", s.out));
    const at::Tensor x = map(s, s.in, 1), dy = map(s, s.out, 2);
    const at::Tensor b = noise({s.out}, 4).to(GetParam());
    const at::Tensor w =
        noise({s.out, s.in, 3, 3}, 3).to(GetParam()).contiguous(at::MemoryFormat::ChannelsLast);
    const auto exact = [](const at::Tensor& t) { return t.to(at::kDouble); };
    const auto [dx, dw, unused] =
        at::convolution_backward(exact(dy), exact(x), exact(w), std::nullopt, {1, 1}, {1, 1},
                                 {1, 1}, false, {0, 0}, 1, {true, true, false});
    // Results are rounded to bf16; the weight's gradient is not.
    constexpr double exactly = 3e-6;
    const double rounded = GetParam() == at::kFloat ? exactly : 3e-3;
    EXPECT_LT(
        relative_error(winograd_convolve(x, w, b), at::conv2d(exact(x), exact(w), exact(b), 1, 1)),
        rounded);
    EXPECT_LT(relative_error(winograd_convolve(x, w, {}), at::conv2d(exact(x), exact(w), {}, 1, 1)),
              rounded);
    EXPECT_LT(relative_error(winograd_input_gradient(dy, w), dx), rounded);
    EXPECT_LT(relative_error(winograd_weight_gradient(dy, x).permute({0, 3, 1, 2}), dw), exactly);
  }
}

TEST_P(Winograd, GivesTheSameBitsForAnyNumberOfThreads) {
  const Shape s{2, 50, 61, 20, 40};
  const at::Tensor x = map(s, s.in, 1), dy = map(s, s.out, 2),
                   w = noise({s.out, s.in, 3, 3}, 3).to(GetParam());
  const auto all = [&] {
    return std::array{winograd_convolve(x, w, {}), winograd_input_gradient(dy, w),
                      winograd_weight_gradient(dy, x)};
  };
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const auto one = all();
  at::set_num_threads(3);
  const auto three = all();
  at::set_num_threads(before);
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(one[i].equal(three[i]));
}

INSTANTIATE_TEST_SUITE_P(Types, Winograd, testing::Values(at::kFloat, at::kBFloat16));

}  // namespace
}  // namespace sgmae
