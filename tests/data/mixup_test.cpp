// Oracle: timm 1.0.31's Mixup and PyTorch's soft cross-entropy with its gradient on the same draws
// (tests/golden/augment.py); moments of the beta distribution.
#include "sgmae/data/mixup.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "sgmae/base/file.h"
#include "tests/pretend_device.h"

namespace sgmae {
namespace {

using nlohmann::json;

at::Tensor tensor(const json& values, at::IntArrayRef shape) {
  at::Tensor out = at::empty(shape, at::kFloat);
  const auto list = values.get<std::vector<float>>();
  std::copy(list.begin(), list.end(), out.data_ptr<float>());
  return out;
}

void expect_near(const at::Tensor& got, const at::Tensor& want, double tolerance) {
  ASSERT_EQ(got.sizes(), want.sizes());
  EXPECT_LE(got.sub(want).abs().max().item<double>(), tolerance);
}

TEST(Mixup, EqualsTimmOnItsDraws) {
  int cases = 0;
  for (const json& c : json::parse(read_text(SGMAE_TEST_DATA "/mixup.json"))) {
    at::Tensor pixels = tensor(c["pixels"], {4, 1, 6, 5});
    const Mix mix{c["cut"], c["lam"], c["centre_x"], c["centre_y"]};
    const double lambda = apply_mix(mix, pixels);
    expect_near(pixels, tensor(c["mixed"], {4, 1, 6, 5}), 1e-6);  // a rounding or two in fp32
    const at::Tensor target = soft_targets(c["label"], 5, lambda, c["smoothing"]);
    expect_near(target, tensor(c["target"], {4, 5}), 1e-6);

    at::Tensor dlogits;
    const double loss =
        soft_cross_entropy(tensor(c["logits"], {4, 5}), target, 3.0, &dlogits).item<double>();
    EXPECT_NEAR(loss, c["loss"].get<double>(), 2e-6 * loss);
    expect_near(dlogits, tensor(c["dlogits"], {4, 5}).mul(3.0), 1e-6);
    ++cases;
  }
  EXPECT_EQ(cases, 7);
}

TEST(Mixup, TargetsAreDistributionsAndPlainWithoutSmoothing) {
  const std::vector<std::int64_t> label{2, 0, 1};
  const at::Tensor smooth = soft_targets(label, 4, 0.3, 0.1);
  expect_near(smooth.sum(1), at::tensor({1.0f, 1.0f, 1.0f}), 1e-6);
  const at::Tensor plain = soft_targets(label, 4, 1.0, 0.0);
  expect_near(plain,
              at::tensor({0.f, 0.f, 1.f, 0.f, 1.f, 0.f, 0.f, 0.f, 0.f, 1.f, 0.f, 0.f}).view({3, 4}),
              0);
}

TEST(Mixup, HugeLogitsKeepTheLossFinite) {
  at::Tensor dlogits;
  const at::Tensor logits = at::tensor({1e4f, -1e4f}).view({1, 2});
  EXPECT_DOUBLE_EQ(
      soft_cross_entropy(logits, soft_targets({1}, 2, 1, 0), 1, &dlogits).item<double>(), 2e4);
  expect_near(dlogits, at::tensor({1.0f, -1.0f}).view({1, 2}), 0);
}

TEST(Mixup, LossOnADeviceIsThatOfTheCpuAndWaitsForNothing) {
  const at::Tensor logits = at::randn({6, 9}).mul(5);
  const at::Tensor target = soft_targets({0, 3, 8, 8, 2, 5}, 9, 0.3, 0.1);
  const at::Tensor there = logits.to(pretend_device());
  at::Tensor here_dlogits, there_dlogits;
  const double here_loss = soft_cross_entropy(logits, target, 0.5, &here_dlogits).item<double>();
  const at::Tensor target_there = target.to(pretend_device());
  at::Tensor loss;
  const Transfers crossed =
      transfers_of([&] { loss = soft_cross_entropy(there, target_there, 0.5, &there_dlogits); });
  EXPECT_EQ(crossed.to_host + crossed.to_device, 0);
  EXPECT_EQ(there_dlogits.device(), pretend_device());
  EXPECT_NEAR(loss.item<double>(), here_loss, 1e-12 * here_loss);  // both in fp64
  expect_near(there_dlogits.cpu(), here_dlogits, 1e-8);            // rounded to fp32
}

TEST(Mixup, BetaHasItsMeanAndVariance) {
  for (const auto& [a, b] : {std::pair{0.8, 0.8}, {1.0, 1.0}, {0.2, 0.2}, {3.0, 1.5}}) {
    constexpr int draws = 20000;
    Rng rng(7, 0, static_cast<std::uint64_t>(100 * a), Purpose::mix);
    double sum = 0, squares = 0;
    for (int i = 0; i < draws; ++i) {
      const double x = draw_beta(rng, a, b);
      ASSERT_TRUE(x >= 0 && x <= 1);
      sum += x, squares += x * x;
    }
    const double mean = a / (a + b), variance = a * b / ((a + b) * (a + b) * (a + b + 1));
    // Five standard errors; that of the variance is at most variance * sqrt(2 / draws) here, since
    // the fourth moment of a bounded variable is small.
    EXPECT_NEAR(sum / draws, mean, 5 * std::sqrt(variance / draws));
    EXPECT_NEAR(squares / draws - sum / draws * sum / draws, variance,
                5 * variance * std::sqrt(2.0 / draws));
  }
}

TEST(Mixup, DrawsFollowTheOptions) {
  constexpr int draws = 4000;
  int mixed = 0, cut = 0;
  for (int i = 0; i < draws; ++i) {
    Rng rng(1, 0, static_cast<std::uint64_t>(i), Purpose::mix);
    const Mix mix = draw_mix(rng, {.mixup = 0.8, .cutmix = 1, .probability = 0.6});
    mixed += mix.lambda != 1;
    cut += mix.cut;
    Rng again(1, 0, static_cast<std::uint64_t>(i), Purpose::mix);
    EXPECT_EQ(draw_mix(again, {}).lambda, 1);
  }
  EXPECT_NEAR(mixed, 0.6 * draws, 5 * std::sqrt(draws * 0.24));
  EXPECT_NEAR(cut, 0.3 * draws, 5 * std::sqrt(draws * 0.21));
  Rng rng(1, 0, 0, Purpose::mix);
  EXPECT_FALSE(draw_mix(rng, {.mixup = 0.8}).cut);
  EXPECT_TRUE(draw_mix(rng, {.cutmix = 1}).cut);
}

}  // namespace
}  // namespace sgmae
