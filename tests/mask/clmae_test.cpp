// Oracles: the module in float64; central differences of the whole loss of its step.
#include "sgmae/mask/clmae.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>

#include "sgmae/nn/patches.h"
#include "tests/mask/network_fixture.h"

namespace sgmae {
namespace {

class ClMaeMask : public NetworkMask {
 protected:
  at::Tensor tokens(const at::Tensor& pixels) const {
    Taps taps({"encoder.embed"});
    model_->encode(pixels, &taps, /*taps_only=*/true);
    return taps["encoder.embed"].narrow(1, 1, 16).to(at::kDouble);
  }

  // Scores [B, 16] of the module, in float64.
  at::Tensor exact_keep(const std::vector<Parameter>& parameters, const at::Tensor& pixels) const {
    const auto p = exact(parameters);
    const at::NoGradGuard no_grad;
    const auto linear = [&](const at::Tensor& x, const std::string& name) {
      return at::linear(x, p.at(name + ".weight"), p.at(name + ".bias"));
    };
    const auto norm = [&](const at::Tensor& x, const std::string& name) {
      return at::layer_norm(x, {32}, p.at(name + ".weight"), p.at(name + ".bias"), 1e-6);
    };
    at::Tensor x =
        at::cat({p.at("masking.cls_token").expand({pixels.size(0), 1, 32}), tokens(pixels)}, 1);
    for (int i = 0; i < 5; ++i) {
      const std::string name = "masking.blocks." + std::to_string(i) + ".";
      const at::Tensor qkv = linear(norm(x, name + "norm1"), name + "attn.qkv")
                                 .view({-1, 17, 3, 4, 8})
                                 .permute({2, 0, 3, 1, 4});
      const at::Tensor attention =
          qkv[0].matmul(qkv[1].transpose(2, 3)).div(std::sqrt(8.0)).softmax(3);
      x = x.add(linear(attention.matmul(qkv[2]).transpose(1, 2).reshape({-1, 17, 32}),
                       name + "attn.proj"));
      x = x.add(
          linear(at::gelu(linear(norm(x, name + "norm2"), name + "mlp.fc1")), name + "mlp.fc2"));
    }
    return linear(norm(x.select(1, 0), "masking.norm"), "masking.head").sigmoid();
  }

  // What the module minimises in epoch `epoch` of 4: the paper's loss of scores in float64, of the
  // present model's predictions from weighted tokens.
  double loss(const std::vector<Parameter>& parameters, const Batch& images, std::int64_t epoch) {
    const at::Tensor z = exact_keep(parameters, images.pixels);
    MaeTrace trace;
    trace.encoder.token_weights = z.to(at::kFloat);
    const at::Tensor pred =
        model_->forward(images.pixels, whole_image(images.size(), 16), trace).pred.to(at::kDouble);
    at::Tensor target = patchify(images.pixels, 4).to(at::kDouble);
    target = target.sub(target.mean(2, true)).div(target.var(2, true, true).add(1e-6).sqrt());
    const at::Tensor errors = pred.sub(target).square().mean(2), w = z.neg().add(1);
    const double factors[] = {1, 0.5, -0.5, -1};
    double sum = factors[epoch] * errors.mul(w).sum().div(w.sum()).item<double>();
    sum += z.sub(0.5).square().div(-2 * 0.12 * 0.12).exp().mean().item<double>() * 0.12 *
           std::sqrt(2 * M_PI);
    double kl = 0, likeness = 0;
    for (std::int64_t i = 0; i < images.size(); ++i) {
      const double kept = z[i].mean().item<double>();
      kl += kept * std::log(kept / 0.25) + (1 - kept) * std::log((1 - kept) / 0.75);
      for (std::int64_t j = 0; j < i; ++j)
        likeness += std::exp(-0.1 * z[i].sub(z[j]).norm().item<double>());
    }
    const double n = static_cast<double>(images.size());
    return sum + options_.kl * kl / n + 2 * likeness / (n * (n - 1) / 2);
  }

  const ClMaeOptions options_;
};

TEST_F(ClMaeMask, HidesThePatchesThatTheModuleKeepsLeast) {
  ClMae strategy(options_, context());
  const Batch images = batch({1, 2, 3, 4});
  const MaskPlan plan = strategy.plan(images, 1);
  const at::Tensor keep = exact_keep(*strategy.learners()[0]->parameters, images.pixels);
  for (std::int64_t i = 0; i < images.size(); ++i)
    EXPECT_GT(keep[i].index_select(0, plan.order[i].narrow(0, 0, 4)).min().item<double>(),
              keep[i].index_select(0, plan.order[i].narrow(0, 4, 12)).max().item<double>());
}

TEST_F(ClMaeMask, TheModuleLearnsAsThePartnerFirstAndAsTheAdversaryLater) {
  for (const std::int64_t epoch : {0, 3}) {
    ClMae strategy(options_, context());
    std::vector<Parameter>& parameters = *strategy.learners()[0]->parameters;
    const Batch images = batch({1, 2, 3});
    step(strategy, images, epoch);  // loss_scale 0.5
    for (const char* name :
         {"masking.cls_token", "masking.blocks.0.attn.qkv.weight", "masking.blocks.4.mlp.fc1.bias",
          "masking.norm.weight", "masking.head.weight", "masking.head.bias"}) {
      Parameter& parameter = *std::find_if(parameters.begin(), parameters.end(),
                                           [&](const Parameter& p) { return p.name == name; });
      const double slope = parameter.grad.norm().item<double>();
      ASSERT_GT(slope, 0) << name;
      const at::Tensor before = parameter.value.clone(), along = parameter.grad.div(slope);
      const double h = 0.004;
      parameter.value.copy_(before.add(along, h));
      const double above = loss(parameters, images, epoch);
      parameter.value.copy_(before.sub(along, h));
      const double below = loss(parameters, images, epoch);
      parameter.value.copy_(before);
      EXPECT_NEAR(0.5 * (above - below) / (2 * h), slope, 2e-2 * slope) << name << " " << epoch;
    }
  }
}

TEST_F(ClMaeMask, TheModelsGradientsAreItsOwn) {
  ClMae strategy(options_, context());
  const Batch images = batch({1, 2, 3});
  const MaskPlan plan = strategy.plan(images, 1);
  const MaeLoss loss = model_->forward_backward(images.pixels, plan);
  const auto before = gradients(model_->parameters());
  strategy.learn({images, plan, loss.per_patch, {}, 1});
  for (const auto& [name, gradient] : gradients(model_->parameters()))
    EXPECT_TRUE(gradient.equal(before.at(name))) << name;
}

TEST(ClMaeCurriculum, FallsFromOneToMinusOneAndIsNeverZero) {
  EXPECT_EQ(curriculum_factor(0, 200), 1);
  EXPECT_EQ(curriculum_factor(50, 200), 0.5);
  EXPECT_EQ(curriculum_factor(199, 200), -1);
  for (const std::int64_t epochs : {1, 2, 3, 8, 200})
    for (std::int64_t e = 0; e < epochs; ++e) EXPECT_NE(curriculum_factor(e, epochs), 0);
}

TEST(KeepPenaltiesTest, AreLeastWhereScoresShouldBe) {
  const at::Tensor good = at::tensor({1.f, 0.f, 0.f, 0.f, 0.f, 1.f, 0.f, 0.f}).view({2, 4});
  const KeepPenalties best = keep_penalties(good, 0.25);
  EXPECT_LT(best.gauss.item<double>(), 1e-4);
  EXPECT_NEAR(best.kl.item<double>(), 0, 1e-6);
  EXPECT_NEAR(best.diversity.item<double>(), std::exp(-0.1 * std::sqrt(2)), 1e-6);
  EXPECT_NEAR(keep_penalties(good.mul(0).add(0.5), 0.25).gauss.item<double>(),
              0.12 * std::sqrt(2 * M_PI), 1e-6);
  EXPECT_EQ(keep_penalties(good.narrow(0, 0, 1), 0.25).diversity.item<double>(), 0);
}

TEST_F(ClMaeMask, ViTBaseHas148MillionParametersInAll) {
  const MaeConfig base = named_config("mae_vit_base_patch16");
  // The paper's count; MAE's is 111.9 M.
  EXPECT_EQ(value_count(MaskingModule(base, 1).parameters()), 35592388);
}

TEST_F(ClMaeMask, PlansAreEachImagesOwnAndComeBackWithTheState) {
  ClMae taught(options_, context()), fresh(options_, context());
  expect_keyed_plans(taught);
  step(taught, batch({1, 2, 3, 4}), 1);
  taught.learners()[0]->optimizer->step(0.1);
  taught.learners()[0]->changed();
  const Batch images = batch({1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_FALSE(mask_of(fresh.plan(images, 2)).equal(mask_of(taught.plan(images, 2))));
  expect_restored(taught, fresh);
}

TEST_F(ClMaeMask, RefusesOptionsThatMeanNothing) {
  EXPECT_NE(refused<ClMaeOptions>("clmae_kl", "-1").find("must not be negative"),
            std::string::npos);
}

}  // namespace
}  // namespace sgmae
