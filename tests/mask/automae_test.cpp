// Oracles: generator, discriminator and their losses in float64 under autograd; the model's own
// attention; the form of a rectangle.
#include "sgmae/mask/automae.h"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/linalg_svdvals.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "tests/mask/network_fixture.h"

namespace sgmae {
namespace {

using Exact = std::map<std::string, at::Tensor>;

at::Tensor exact_scores(const Exact& p, const at::Tensor& attention) {
  const at::Tensor hidden =
      at::relu(at::conv2d(attention, p.at("generator.0.weight"), p.at("generator.0.bias"), 1, 1));
  return at::conv2d(hidden, p.at("generator.1.weight"), {}, 1, 1).flatten(1).log_softmax(1);
}

at::Tensor exact_verdicts(const Exact& p, const at::Tensor& shares) {
  const auto layer = [&](const at::Tensor& x, const char* name, std::int64_t stride) {
    const at::Tensor& w = p.at(name);
    return at::conv2d(x, w.div(at::linalg_svdvals(w.flatten(1)).max()), {}, stride, 1);
  };
  at::Tensor x = at::leaky_relu(layer(shares, "discriminator.0", 1), 0.2);
  x = at::leaky_relu(layer(x, "discriminator.1", 2), 0.2);
  return at::sigmoid(layer(x, "discriminator.2", 1));
}

class AutoMaeMask : public NetworkMask {
 protected:
  at::Tensor attention(const at::Tensor& pixels) const {
    Taps taps({"encoder.1.attention"});
    model_->encode(pixels, &taps);
    return taps["encoder.1.attention"]
        .select(2, 0)
        .narrow(2, 1, 16)
        .to(at::kDouble)
        .mul(16)
        .view({-1, 2, 4, 4});
  }
  static AutoMaeDraws draws(std::int64_t index) {
    Rng rng(3, 1, static_cast<std::uint64_t>(index), Purpose::mask);
    return draw_automae(rng, 4, 4);
  }
  // Rows of what was drawn for each image, [B, 16].
  static at::Tensor rows(const Batch& batch, std::vector<float> AutoMaeDraws::*which) {
    at::Tensor all = at::empty({batch.size(), 16}, at::kDouble);
    for (std::int64_t i = 0; i < batch.size(); ++i)
      all[i].copy_(at::tensor(draws(batch.index[i]).*which));
    return all;
  }
};

TEST_F(AutoMaeMask, MasksTheHighestKeysWhichTheGeneratorRaises) {
  AutoMae strategy({}, context());
  const Batch images = batch({1, 2, 3, 4, 5, 6, 7, 8});
  const MaskPlan plan = strategy.plan(images, 1);
  const at::Tensor drawn =
      exact_scores(exact(*strategy.learners()[0]->parameters), attention(images.pixels))
          .add(rows(images, &AutoMaeDraws::gumbel))
          .detach();
  const at::Tensor chosen = std::get<1>(drawn.topk(4, 1));
  const at::Tensor key =
      rows(images, &AutoMaeDraws::key).add(at::zeros_like(drawn).scatter(1, chosen, 1.0), 0.5);
  for (std::int64_t i = 0; i < images.size(); ++i)
    EXPECT_LT(key[i].index_select(0, plan.order[i].narrow(0, 0, 4)).max().item<double>(),
              key[i].index_select(0, plan.order[i].narrow(0, 4, 12)).min().item<double>());
}

TEST_F(AutoMaeMask, GeneratorAndDiscriminatorLearnEachItsOwnLoss) {
  AutoMae strategy({}, context());
  const std::vector<Parameter>& generator = *strategy.learners()[0]->parameters;
  const std::vector<Parameter>& discriminator = *strategy.learners()[1]->parameters;
  Exact g = exact(generator), d = exact(discriminator);
  const Batch images = batch({1, 2, 3, 4});
  const at::Tensor seen = attention(images.pixels);
  const MaskFeedback went = step(strategy, images, 1);
  const at::Tensor gradient = visibility_gradient(went, 4).to(at::kDouble);

  const at::AutoGradMode record(true);
  const at::Tensor shares =
      exact_scores(g, seen).add(rows(images, &AutoMaeDraws::gumbel)).softmax(1);
  const auto maps = [](const at::Tensor& x) { return x.mul(16).view({-1, 1, 4, 4}); };
  const at::Tensor adversarial = exact_verdicts(d, maps(shares)).sub(1).square().mean();
  torch::autograd::backward({shares.mul(gradient).sum().mul(0.5).add(adversarial, 0.5 * 0.2)}, {});
  expect_gradients(g, generator, 2e-4);

  for (auto& [name, value] : d) value.mutable_grad() = at::Tensor();
  const at::Tensor real = rows(images, &AutoMaeDraws::rectangle).softmax(1);
  const at::Tensor judged = exact_verdicts(d, maps(real))
                                .sub(1)
                                .square()
                                .mean()
                                .add(exact_verdicts(d, maps(shares.detach())).square().mean());
  torch::autograd::backward({judged.mul(0.5)}, {});
  expect_gradients(d, discriminator, 2e-4);

  const auto told = strategy.after_epoch(1);
  EXPECT_NEAR(told["mask_adversarial_loss"].get<double>(), adversarial.item<double>(), 1e-5);
  EXPECT_NEAR(told["mask_discriminator_loss"].get<double>(), judged.item<double>(), 1e-5);
}

TEST(AutoMaeDrawsTest, ARectangleStandsOutOfNoise) {
  for (const auto& [rows, columns] : {std::pair{14, 14}, {8, 8}, {4, 4}, {6, 3}, {1, 1}}) {
    double least = 1, most = 0;
    for (std::uint64_t i = 0; i < 200; ++i) {
      Rng rng(1, 2, i, Purpose::mask);
      const AutoMaeDraws draws = draw_automae(rng, rows, columns);
      std::int64_t top = rows, bottom = -1, left = columns, right = -1, inside = 0;
      for (std::int64_t k = 0; k < rows * columns; ++k) {
        const float value = draws.rectangle[static_cast<std::size_t>(k)];
        EXPECT_TRUE((value >= 0 && value < 0.1f) || (value >= 0.5f && value < 0.6f)) << value;
        if (value < 0.5f) continue;
        top = std::min(top, k / columns), bottom = std::max(bottom, k / columns);
        left = std::min(left, k % columns), right = std::max(right, k % columns);
        ++inside;
      }
      ASSERT_GT(inside, 0);
      EXPECT_EQ(inside, (bottom - top + 1) * (right - left + 1));
      const double share = static_cast<double>(inside) / static_cast<double>(rows * columns);
      least = std::min(least, share), most = std::max(most, share);
    }
    if (rows != 14) continue;
    EXPECT_NEAR(least, 0.14, 0.04);  // from 10 of 64, less where 2 columns are not enough for more
    EXPECT_NEAR(most, 0.66, 0.05);   // to 40 of 64, rounded up to whole rows
  }
}

TEST(AutoMaeDrawsTest, GumbelNoiseHasItsMeanAndDeviation) {
  Rng rng(1, 2, 3, Purpose::mask);
  const AutoMaeDraws draws = draw_automae(rng, 200, 200);
  const at::Tensor noise = at::tensor(draws.gumbel, at::kDouble);
  EXPECT_NEAR(noise.mean().item<double>(), 0.5772, 0.03);
  EXPECT_NEAR(noise.std().item<double>(), 1.2825, 0.03);
}

TEST_F(AutoMaeMask, PlansAreEachImagesOwnAndComeBackWithTheState) {
  AutoMae taught({}, context()), fresh({}, context());
  expect_keyed_plans(taught);
  for (int i = 0; i < 3; ++i) {
    step(taught, batch({1, 2, 3, 4}), 1);
    for (Learner* learner : taught.learners()) learner->optimizer->step(0.5);
  }
  const Batch images = batch({1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_FALSE(mask_of(fresh.plan(images, 2)).equal(mask_of(taught.plan(images, 2))));
  expect_restored(taught, fresh);
}

TEST_F(AutoMaeMask, RefusesOptionsThatMeanNothing) {
  EXPECT_EQ(refused<AutoMaeOptions>("automae_factor", "-1"),
            "automae_factor must not be negative, but is -1");
  EXPECT_NE(refused<AutoMaeOptions>("automae_adversarial", "-0.1").find("negative"),
            std::string::npos);
}

}  // namespace
}  // namespace sgmae
