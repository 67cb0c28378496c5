// Oracles: the occluder and its loss in float64 under autograd; central differences of the model.
#include "sgmae/mask/adios.h"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <numbers>

#include "sgmae/nn/patches.h"
#include "tests/mask/network_fixture.h"

namespace sgmae {
namespace {

class AdiosMask : public NetworkMask {
 protected:
  // Soft masks [B, 6, 16].
  static at::Tensor exact_masks(const std::map<std::string, at::Tensor>& p,
                                const at::Tensor& pixels) {
    const auto normed = [&](const at::Tensor& x, const std::string& name) {
      return at::relu(at::layer_norm(x.permute({0, 2, 3, 1}), {x.size(1)},
                                     p.at(name + ".norm.weight"), p.at(name + ".norm.bias"), 1e-6)
                          .permute({0, 3, 1, 2}));
    };
    at::Tensor x = patchify(pixels, 4).to(at::kDouble).transpose(1, 2).reshape({-1, 16, 4, 4});
    x = normed(at::conv2d(x, p.at("occluder.embed.weight")), "occluder.embed");
    for (const char* i : {"0", "1", "2", "3"}) {
      const std::string name = std::string("occluder.layers.") + i;
      x = normed(at::conv2d(x, p.at(name + ".weight"), {}, 1, 1), name);
    }
    return at::conv2d(x, p.at("occluder.head.weight"), p.at("occluder.head.bias"))
        .softmax(1)
        .flatten(2);
  }
  // The mask of an image at that position in epoch 1.
  static std::int64_t chosen(std::int64_t index) {
    return Rng(3, 1, static_cast<std::uint64_t>(index), Purpose::mask).below(6);
  }
};

TEST_F(AdiosMask, HidesThePatchesOfTheHighestMaskThatWasDrawn) {
  Adios strategy({}, context());
  const Batch images = batch({1, 2, 3, 4, 5, 6, 7, 8});
  const MaskPlan plan = strategy.plan(images, 1);
  const at::Tensor masks = exact_masks(exact(*strategy.learners()[0]->parameters), images.pixels);
  EXPECT_LT(masks.sum(1).sub(1).abs().max().item<double>(), 1e-12);
  std::set<std::int64_t> drawn;
  for (std::int64_t i = 0; i < images.size(); ++i) {
    const at::Tensor mask = masks[i][chosen(images.index[i])].detach();
    drawn.insert(chosen(images.index[i]));
    EXPECT_LT(mask.index_select(0, plan.order[i].narrow(0, 0, 4)).max().item<double>(),
              mask.index_select(0, plan.order[i].narrow(0, 4, 12)).min().item<double>());
  }
  EXPECT_GT(drawn.size(), 2u);
}

TEST_F(AdiosMask, TheVisibilityGradientIsTheSlopeOfTheLossInWhatThePatchShows) {
  RandomMask random(16, 0.75, 3);
  const Batch images = batch({1, 2});
  const MaskFeedback went = step(random, images, 0);
  const at::Tensor gradient = visibility_gradient(went, 4);
  const auto loss_at = [&](std::int64_t patch, double v) {
    Batch changed = images;
    changed.pixels = images.pixels.clone();
    changed.pixels[0][0].narrow(0, patch / 4 * 4, 4).narrow(1, patch % 4 * 4, 4).mul_(v);
    return model_->forward(changed.pixels, plan_).loss;
  };
  for (std::int64_t k = 0; k < 16; ++k) {
    const std::int64_t patch = plan_.order[0][k].item<std::int64_t>();
    const double slope = gradient[0][patch].item<double>();
    if (k >= 4) {
      EXPECT_EQ(slope, 0);
      continue;
    }
    const double differences = 0.5 * (loss_at(patch, 1.01) - loss_at(patch, 0.99)) / 0.02;
    EXPECT_NEAR(slope, differences, 1e-2 * std::abs(differences) + 1e-5);
  }
}

TEST_F(AdiosMask, TheOccluderMaximisesTheLossLessThePenalty) {
  Adios strategy({}, context());
  const std::vector<Parameter>& parameters = *strategy.learners()[0]->parameters;
  auto p = exact(parameters);
  const Batch images = batch({1, 2, 3, 4});
  const MaskFeedback went = step(strategy, images, 1);
  const at::Tensor gradient = visibility_gradient(went, 4).to(at::kDouble);
  const at::AutoGradMode record(true);
  const at::Tensor masks = exact_masks(p, images.pixels);
  // d loss / d visibility is `gradient`, and visibility 1 - mask.
  at::Tensor to_maximise = at::zeros({}, at::kDouble);
  for (std::int64_t i = 0; i < 4; ++i)
    to_maximise = to_maximise.add(masks[i][chosen(images.index[i])].neg().add(1).dot(gradient[i]));
  const at::Tensor areas = masks.mean(2);
  const at::Tensor penalty = areas.mul(std::numbers::pi).sin().add(1e-3).reciprocal().mean();
  torch::autograd::backward({to_maximise.sub(penalty, 0.5 * 0.889).neg()}, {});
  expect_gradients(p, parameters, 2e-4);
  EXPECT_NEAR(strategy.after_epoch(1)["mask_area_penalty"].get<double>(), penalty.item<double>(),
              1e-5);
}

TEST_F(AdiosMask, PlansAreEachImagesOwnAndComeBackWithTheState) {
  Adios taught({}, context()), fresh({}, context());
  expect_keyed_plans(taught);
  step(taught, batch({1, 2, 3, 4}), 1);
  taught.learners()[0]->optimizer->step(0.1);
  const Batch images = batch({1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_FALSE(mask_of(fresh.plan(images, 2)).equal(mask_of(taught.plan(images, 2))));
  expect_restored(taught, fresh);
}

TEST_F(AdiosMask, RefusesOptionsThatMeanNothing) {
  EXPECT_EQ(refused<AdiosOptions>("adios_masks", "1"),
            "adios_masks must be in 2 .. 1024, but is 1");
  EXPECT_NE(refused<AdiosOptions>("adios_sparsity", "-1").find("negative"), std::string::npos);
  EXPECT_NE(refused<AdiosOptions>("adios_lr_ratio", "0").find("positive"), std::string::npos);
  MaskContext all_hidden = context();
  all_hidden.mask_ratio = 0.99;
  EXPECT_NE(error_of(ExitCode::usage, [&] { Adios({}, all_hidden); }).find("visible"),
            std::string::npos);
}

}  // namespace
}  // namespace sgmae
