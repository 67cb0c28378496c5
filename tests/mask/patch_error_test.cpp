// Oracles: the loss of forward passes made one by one; sorting by hand.
#include "sgmae/mask/patch_error.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/mask/strategy.h"

namespace sgmae {
namespace {

MaeConfig tiny(bool norm_pix_loss) {
  return {.height = 24,
          .width = 24,
          .channels = 1,
          .patch_size = 4,
          .encoder = {16, 2, 2},
          .decoder = {16, 1, 2},
          .norm_pix_loss = norm_pix_loss};
}

// Mean square error of a patch while it is hidden, of what the model is trained to predict.
double error_of(const at::Tensor& target, const at::Tensor& pred, bool normalised) {
  at::Tensor t = target.to(at::kDouble);
  if (normalised) t = (t - t.mean()) / (t.var(/*unbiased=*/true) + 1e-6).sqrt();
  return (pred.to(at::kDouble) - t).square().mean().item<double>();
}

TEST(PatchErrors, AreTheTrainingLossOfHiddenPatchesOverMasksThatTakeTurns) {
  const at::Tensor pixels = at::randn({2, 1, 24, 24});
  const std::vector<std::int64_t> index{5, 90};
  for (const bool normalised : {false, true})
    for (const auto& [ratio, masks] :
         std::map<double, int>{{0.75, 4}, {0.9, 4}, {0.5, 2}, {0.25, 4}}) {
      const Mae model(tiny(normalised), 3);
      const at::Tensor errors = patch_errors(model, pixels, index, ratio, 7);
      ASSERT_EQ(errors.sizes(), at::IntArrayRef({2, 36}));
      const std::int64_t n_visible = visible_count(36, ratio);
      const std::int64_t step = ratio < 0.5 ? 36 - n_visible : n_visible;
      const at::Tensor order = random_plan(index, 36, n_visible, 7, 0).order;
      std::vector<double> total(72, 0), times(72, 0);
      for (int turn = 0; turn < masks; ++turn) {
        at::Tensor turned = order.clone();
        for (int b = 0; b < 2; ++b)
          for (std::int64_t i = 0; i < 36; ++i) turned[b][(i + turn * step) % 36] = order[b][i];
        const at::Tensor pred = model.forward(pixels, {turned, n_visible}).pred;
        const at::Tensor target = patchify(pixels, 4);
        for (int b = 0; b < 2; ++b)
          for (std::int64_t i = n_visible; i < 36; ++i) {
            const auto patch = turned[b][i].item<std::int64_t>();
            total[b * 36 + patch] += error_of(target[b][patch], pred[b][patch], normalised);
            times[b * 36 + patch] += 1;
          }
      }
      for (int b = 0; b < 2; ++b)
        for (int p = 0; p < 36; ++p) {
          EXPECT_GE(times[b * 36 + p], ratio >= 0.5 ? masks - 1 : 1);
          EXPECT_NEAR(errors[b][p].item<float>(), total[b * 36 + p] / times[b * 36 + p], 1e-4)
              << ratio << " " << b << " " << p;
        }
    }
}

TEST(PatchErrors, DependOnTheImageAndNotOnItsBatch) {
  const Mae model(tiny(true), 3);
  const at::Tensor pixels = at::randn({3, 1, 24, 24});
  const at::Tensor all = patch_errors(model, pixels, {4, 8, 2}, 0.75, 1);
  const at::Tensor one = patch_errors(model, pixels.slice(0, 1, 2), {8}, 0.75, 1);
  EXPECT_TRUE(all[1].allclose(one[0], 1e-4, 1e-5));
  EXPECT_FALSE(all.equal(patch_errors(model, pixels, {4, 8, 2}, 0.75, 2)));
}

// Each patch is visible at most once, and four masks are enough.
TEST(PatchErrors, SayHowManyMasks) {
  EXPECT_EQ(error_masks(196, 49), 4);
  EXPECT_EQ(error_masks(196, 19), 4);
  EXPECT_EQ(error_masks(196, 70), 2);
  EXPECT_EQ(error_masks(196, 147), 4);  // hidden at least once
}

TEST(PatchErrors, NeedMasks) {
  const Mae model(tiny(true), 3);
  EXPECT_THROW(patch_errors(model, at::randn({1, 1, 24, 24}), {0}, 0.999, 0), Error);
}

TEST(HardestQuarter, HasTheHighestErrorsAndOfEqualOnesTheFirst) {
  const at::Tensor errors = at::tensor({1.f, 9.f, 3.f, 3.f, 0.f, 3.f, 2.f, 1.f}).view({1, 8});
  EXPECT_TRUE(
      hardest_quarter(errors).equal(at::tensor({0, 1, 1, 0, 0, 0, 0, 0}, at::kByte).view({1, 8})));
  EXPECT_EQ(hardest_quarter(errors.slice(1, 0, 3)).sum().item<std::int64_t>(), 1);
}

TEST(HardestQuarter, IsEmptyWhereErrorsTellNothing) {
  at::Tensor errors = at::arange(16, at::kFloat).view({2, 8});
  errors[0].fill_(0.3);
  errors[1][2] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(hardest_quarter(errors).sum().item<std::int64_t>(), 0);
}

TEST(PatchVariance, IsThatOfThePixels) {
  at::Tensor pixels = at::full({1, 1, 4, 8}, 2.0);
  pixels[0][0][0][4] = 18;  // in the second patch: mean 3, variance (15^2 + 15) / 16
  const at::Tensor variance = patch_variance(pixels, 4);
  EXPECT_EQ(variance[0][0].item<float>(), 0);
  EXPECT_FLOAT_EQ(variance[0][1].item<float>(), 15);
}

}  // namespace
}  // namespace sgmae
