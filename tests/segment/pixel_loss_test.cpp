// Oracle: the logits at the labels' size by ATen in double, their cross-entropy and gradients;
// closed forms.
#include "sgmae/segment/pixel_loss.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/full.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "sgmae/base/error.h"
#include "tests/support/other_device.h"
#include "tests/support/tensors.h"

namespace sgmae {
namespace {

at::Tensor some_labels(at::IntArrayRef shape, std::int64_t classes) {
  const at::Tensor drawn = noise(shape, 5).mul_(100).abs_().to(at::kLong);
  return drawn.remainder(classes).masked_fill(drawn.remainder(7).eq(0), 255).to(at::kByte);
}

struct Size {
  const char* name;
  std::int64_t classes, rows, columns, height, width;
};

class PixelLosses : public testing::TestWithParam<Size> {};

// 1e-5: fp32 exponentials and sums of thousands of pixels.
TEST_P(PixelLosses, AreThoseOfLogitsAtTheLabelsSize) {
  const auto [name, classes, rows, columns, height, width] = GetParam();
  const at::Tensor given = noise({2, classes, rows, columns}, 1).mul_(3);
  const at::Tensor labels = some_labels({2, height, width}, classes);
  const at::AutoGradMode record(true);
  at::Tensor ours = given.detach().requires_grad_();
  const PixelLoss loss = pixel_loss(ours, labels);
  torch::autograd::backward({loss.loss.mul(3)}, {});
  at::Tensor exact = given.to(at::kDouble).requires_grad_();
  const at::Tensor sized = at::upsample_bilinear2d(exact, {height, width}, false);
  const at::Tensor target = labels.to(at::kLong);
  const at::Tensor expected = at::cross_entropy_loss(sized, target, {}, 1, 255);
  torch::autograd::backward({expected.mul(3)}, {});
  EXPECT_LT(relative_error(loss.loss.detach(), expected.detach()), 1e-6);
  EXPECT_LT(relative_error(ours.grad(), exact.grad()), 1e-5);
  const double right = sized.argmax(1).eq(target).sum().item<double>();
  EXPECT_NEAR(loss.accuracy.item<double>(), right / target.ne(255).sum().item<double>(), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(
    Sizes, PixelLosses,
    testing::Values(Size{"quarter", 5, 10, 12, 40, 48}, Size{"many", 150, 20, 9, 80, 36},
                    Size{"sixteenth", 19, 3, 5, 48, 80}, Size{"odd", 2, 7, 3, 100, 41},
                    Size{"one_row", 33, 1, 4, 70, 16}, Size{"smaller", 16, 9, 9, 5, 4},
                    Size{"same", 255, 6, 6, 6, 6}),
    [](const auto& info) { return info.param.name; });

TEST(PixelLoss, IsTheLogarithmOfTheClassesWhereTheyAreEqual) {
  const at::Tensor logits = at::full({1, 8, 4, 4}, 1000.0);
  const at::Tensor labels = at::full({1, 16, 16}, 3, at::kByte);
  EXPECT_NEAR(pixel_loss(logits, labels).loss.item<double>(), std::log(8.0), 1e-6);
}

TEST(PixelLoss, IsTheSameForAnyNumberOfThreads) {
  const at::Tensor given = noise({2, 7, 16, 16}, 1), labels = some_labels({2, 256, 64}, 7);
  const auto gradient = [&](int threads) {
    at::set_num_threads(threads);
    const at::AutoGradMode record(true);
    at::Tensor logits = given.detach().requires_grad_();
    torch::autograd::backward({pixel_loss(logits, labels).loss}, {});
    return logits.grad();
  };
  const at::Tensor one = gradient(1);
  EXPECT_TRUE(gradient(3).equal(one));
  at::set_num_threads(1);
}

TEST(PixelLoss, IsZeroWithoutGradientsWhereNothingIsLabelled) {
  at::Tensor logits = noise({1, 4, 2, 2}, 1).requires_grad_();
  const at::AutoGradMode record(true);
  const PixelLoss loss = pixel_loss(logits, at::full({1, 8, 8}, 255, at::kByte));
  torch::autograd::backward({loss.loss}, {});
  EXPECT_EQ(loss.loss.item<float>(), 0);
  EXPECT_EQ(loss.accuracy.item<float>(), 0);
  EXPECT_EQ(logits.grad().abs().max().item<float>(), 0);
}

TEST(PixelLoss, RefusesALabelThatIsNoClass) {
  try {
    pixel_loss(noise({1, 4, 2, 2}, 1), at::full({1, 8, 8}, 4, at::kByte));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::data);
  }
}

TEST(PixelLossDevice, IsTheCpus) {
  const at::Device device = other_device();
  const at::NoGradGuard no_grad;
  const at::Tensor logits = noise({2, 7, 6, 6}, 1), labels = some_labels({2, 24, 24}, 7);
  const PixelLoss here = pixel_loss(logits, labels), there = pixel_loss(logits.to(device), labels);
  EXPECT_LT(relative_error(there.loss, here.loss), 1e-6);
  EXPECT_LT(relative_error(there.accuracy, here.accuracy), 1e-6);
}

}  // namespace
}  // namespace sgmae
