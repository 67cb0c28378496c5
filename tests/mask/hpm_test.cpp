// Oracle: the predictor and its losses written out in fp64 under autograd, and scores and masks
// worked out anew from them.
#include "sgmae/mask/hpm.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "tests/mask/tiny_context.h"
#include "tests/support/tensors.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

// The predictor's parameters in fp64, for autograd.
std::map<std::string, at::Tensor> doubles(const LossPredictor& predictor) {
  std::map<std::string, at::Tensor> all;
  for (const Parameter& p : predictor.parameters())
    all[p.name.substr(std::string("loss_predictor.").size())] =
        p.value.to(at::kDouble).requires_grad_(true);
  return all;
}

// x [B, n, D] -> scores [B, n_last]: every value of the last layer, then their mean.
at::Tensor slow_scores(std::map<std::string, at::Tensor> w, const MaeConfig& config, at::Tensor x,
                       std::int64_t n_last) {
  const std::int64_t batch = x.size(0), n = x.size(1), dim = x.size(2),
                     heads = config.decoder.heads;
  const auto norm = [&](const at::Tensor& t, const std::string& name) {
    return at::layer_norm(t, {dim}, w[name + ".weight"], w[name + ".bias"], config.layer_norm_eps);
  };
  const auto linear = [&](const at::Tensor& t, const std::string& name) {
    return at::linear(t, w[name + ".weight"], w[name + ".bias"]);
  };
  for (std::int64_t i = 0; i < config.decoder.depth; ++i) {
    const std::string block = str("blocks.", i, ".");
    const at::Tensor qkv = linear(norm(x, block + "norm1"), block + "attn.qkv")
                               .view({batch, n, 3, heads, dim / heads})
                               .permute({2, 0, 3, 1, 4});
    const at::Tensor weights =
        at::softmax(at::matmul(qkv[0], qkv[1].transpose(2, 3)) /
                        std::sqrt(static_cast<double>(dim) / static_cast<double>(heads)),
                    3);
    x = x + linear(at::matmul(weights, qkv[2]).transpose(1, 2).reshape({batch, n, dim}),
                   block + "attn.proj");
    x = x +
        linear(at::gelu(linear(norm(x, block + "norm2"), block + "mlp.fc1")), block + "mlp.fc2");
  }
  return linear(norm(x, "norm"), "pred").mean({2}).narrow(1, n - n_last, n_last);
}

at::Tensor slow_relative_loss(const at::Tensor& scores, const at::Tensor& losses) {
  at::Tensor sum = at::zeros({}, at::kDouble);
  int pairs = 0;
  for (std::int64_t b = 0; b < scores.size(0); ++b)
    for (std::int64_t i = 0; i < scores.size(1); ++i)
      for (std::int64_t j = 0; j < scores.size(1); ++j) {
        const double difference = losses[b][i].item<double>() - losses[b][j].item<double>();
        if (difference == 0) continue;
        const at::Tensor s = (scores[b][i] - scores[b][j]).sigmoid();
        sum = sum - (difference > 0 ? (s + 1e-6).log() : (1 - s + 1e-6).log());
        ++pairs;
      }
  return sum / pairs;
}

TEST(LossPredictor, EqualsTheOneWrittenOutAndItsGradients) {
  const at::AutoGradMode with_gradients(true);
  const MaeConfig config = two_blocks(true);
  LossPredictor predictor(config, 5);
  const at::Tensor x = noise({3 * 19, 16}, 6), losses = noise({3, 12}, 7).abs();
  auto slow = doubles(predictor);
  const at::Tensor slow_x = x.to(at::kDouble).view({3, 19, 16}).requires_grad_(true);
  const at::Tensor expected = slow_scores(slow, config, slow_x, 12);
  slow_relative_loss(expected, losses).mul(0.5).backward();

  LossPredictor::Trace trace;
  const at::Tensor scores = predictor.forward(x, 3, 12, &trace);
  EXPECT_LT(relative_error(scores, expected.detach()), 1e-5);
  EXPECT_TRUE(scores.equal(predictor.forward(x, 3, 12, nullptr)));
  const ScoreLoss loss = relative_score_loss(scores, losses);
  const at::Tensor dx = predictor.backward(loss.dscores.mul(0.5), trace);
  EXPECT_LT(relative_error(dx, slow_x.grad().view({3 * 19, 16})), 1e-5);
  for (const Parameter& p : predictor.parameters()) {
    const at::Tensor grad = slow[p.name.substr(std::string("loss_predictor.").size())].grad();
    // A constant added to all scores changes no comparison.
    if (p.name == "loss_predictor.pred.bias" || p.name == "loss_predictor.norm.bias") {
      EXPECT_LT(p.grad.abs().max().item<double>(), 1e-6);
    } else {
      EXPECT_LT(relative_error(p.grad, grad), 2e-5) << p.name;
    }
  }
}

TEST(ScoreLoss, RelativeSkipsEqualLosses) {
  const at::Tensor scores = noise({2, 4}, 1);
  at::Tensor losses = noise({2, 4}, 2).abs();
  losses.select(1, 3).copy_(losses.select(1, 0));
  const ScoreLoss ours = relative_score_loss(scores, losses);
  EXPECT_NEAR(ours.value.item<double>(),
              slow_relative_loss(scores.to(at::kDouble), losses).item<double>(), 1e-6);
  const ScoreLoss none = relative_score_loss(scores, at::zeros({2, 4}));
  EXPECT_EQ(none.value.item<double>(), 0);
  EXPECT_EQ(none.dscores.abs().max().item<double>(), 0);
}

TEST(ScoreLoss, AbsoluteIsToStandardisedLosses) {
  const at::AutoGradMode with_gradients(true);
  const at::Tensor scores = noise({2, 5}, 1), losses = noise({2, 5}, 2).abs();
  const at::Tensor slow = scores.to(at::kDouble).requires_grad_(true);
  const at::Tensor target = losses.to(at::kDouble);
  const at::Tensor standard =
      (target - target.mean({1}, true)) / (target.var({1}, /*unbiased=*/true, true) + 1e-6).sqrt();
  const at::Tensor expected = (slow - standard).pow(2).mean();
  expected.backward();
  const ScoreLoss ours = absolute_score_loss(scores, losses);
  EXPECT_NEAR(ours.value.item<double>(), expected.item<double>(), 1e-6);
  EXPECT_LT(relative_error(ours.dscores, slow.grad()), 1e-5);
}

TEST(HardestOrder, MasksTheHardestAndDrawsTheRest) {
  const std::vector<float> scores{3, 1, 4, 1.5f, 9, 2.6f, 5, 3.5f};
  std::vector<int> visible(8);
  const int draws = 4000;
  for (int i = 0; i < draws; ++i) {
    std::vector<std::int64_t> order(8);
    hardest_order(scores, 2, 3, Rng(1, 0, i, Purpose::mask), order);
    EXPECT_EQ(std::set<std::int64_t>(order.begin(), order.end()).size(), 8u);
    EXPECT_EQ(std::set<std::int64_t>(order.begin() + 5, order.end()),
              (std::set<std::int64_t>{2, 4, 6}));
    for (int k = 0; k < 2; ++k) ++visible[static_cast<std::size_t>(order[k])];
  }
  // Two of the five others, each as often: 1600 times, deviation 31.
  for (const std::size_t other : {0u, 1u, 3u, 5u, 7u}) EXPECT_NEAR(visible[other], 1600, 155);
}

// The paper's column of parameters: 112 M and, with HPM's second decoder, 138 M.
TEST(LossPredictor, HasThePublishedSize) {
  const MaeConfig base = named_config("mae_vit_base_patch16");
  const LossPredictor predictor(base, std::nullopt);
  const Mae mae(base, std::nullopt);
  EXPECT_EQ(value_count(predictor.parameters()), 25614080);
  EXPECT_NEAR(static_cast<double>(value_count(mae.parameters())) * 1e-6, 111.91, 0.005);
}

class HpmTest : public ::testing::Test {
 protected:
  MaskContext context() const { return tiny_.context(); }

  TinyContext tiny_;
};

TEST_F(HpmTest, GoesFromEasyToHard) {
  const Hpm hpm({}, context());
  EXPECT_EQ(hpm.hardest_count(0), 0);
  EXPECT_EQ(hpm.hardest_count(39), 6);  // half of 12
}

TEST_F(HpmTest, MasksWhatItsTeacherExpectsToBeHard) {
  Hpm hpm({}, context());
  Batch batch;
  batch.pixels = noise({3, 1, 16, 16}, 8);
  batch.index = {4, 9, 2};
  const MaskPlan plan = hpm.plan(batch, 39);
  EXPECT_EQ(plan.n_visible, 4);
  // The teacher is still the model, and its predictor the one that is drawn from the seed.
  const LossPredictor predictor(tiny_.model().config(), TinyContext::seed + 1);
  const at::Tensor input = tiny_.model().decoder_input(batch.pixels, whole_image(3, 16));
  const at::Tensor scores = slow_scores(doubles(predictor), tiny_.model().config(),
                                        input.view({3, 17, -1}).to(at::kDouble), 16)
                                .detach();
  EXPECT_LT(relative_error(hpm.scores(batch.pixels), scores), 1e-5);
  for (std::int64_t i = 0; i < 3; ++i) {
    const at::Tensor hardest = std::get<1>(scores[i].topk(6));
    const at::Tensor masked = plan.order[i].narrow(0, 4, 12);
    for (std::int64_t k = 0; k < 6; ++k)
      EXPECT_TRUE(masked.eq(hardest[k]).any().item<bool>()) << i << " " << k;
  }
}

TEST_F(HpmTest, TeachersFollowOnlyStepsThatWereTaken) {
  HpmOptions options;
  options.momentum = options.momentum_end = 0.75;
  Hpm hpm(options, context());
  const auto average = [&](const std::string& name) {
    for (const auto& [found, value] : hpm.state().tensors)
      if (found == "ema." + name) return value.clone();
    throw std::runtime_error(name);
  };
  const at::Tensor before = average("cls_token");
  tiny_.model().parameters()[0].value.add_(1);
  ASSERT_EQ(tiny_.model().parameters()[0].name, "cls_token");
  hpm.after_step({.epoch = 0, .step = 1, .loss = 1, .applied = false});
  EXPECT_TRUE(average("cls_token").equal(before));
  hpm.after_step({.epoch = 0, .step = 1, .loss = 1, .applied = true});
  EXPECT_LT(relative_error(average("cls_token"), before.add(0.25)), 1e-6);
}

TEST_F(HpmTest, RefusesWhatCannotBe) {
  HpmOptions options;
  options.hardest = 1.5;
  EXPECT_THROW(options.check(false), Error);
  options = {};
  options.momentum = -1;
  EXPECT_THROW(options.check(false), Error);
}

}  // namespace
}  // namespace sgmae
