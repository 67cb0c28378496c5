// Oracle: transformers' ViTMAEForPreTraining (tests/golden/mae.py), given the same weights, pixels
// and noise: outputs, loss and every gradient, that of the pixels too.
#include "sgmae/nn/mae.h"

#include <ATen/ops/argsort.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "sgmae/base/error.h"
#include "sgmae/io/safetensors.h"
#include "tests/nn/listener.h"
#include "tests/support/other_device.h"
#include "tests/support/tensors.h"

namespace sgmae {
namespace {

MaeConfig config_of(const std::string& size) {
  MaeConfig config;
  if (size == "square") {
    config.height = config.width = 32;
    config.patch_size = 8;
    config.encoder = {32, 2, 4};
    config.decoder = {16, 2, 2};
  } else {
    config.height = config.width = 28;
    config.channels = 1;
    config.patch_size = 4;
    config.encoder = {24, 3, 3};
    config.decoder = {16, 1, 4};
  }
  return config;
}

// fp32 sums of either side come in different orders; bf16 rounds every product's operands to 2^-9,
// which adds up over the layers.
double tolerance_of(Precision precision) {
  return precision == Precision::fp32 ? 1e-5 : 3e-2;
}

struct Golden {
  std::string size;
  bool norm_pix;
};

class MaeGolden : public testing::TestWithParam<Golden> {
 protected:
  void SetUp() override {
    file_ = read_safetensors(SGMAE_TEST_DATA "/nn/mae_" + GetParam().size + ".safetensors");
    config_ = config_of(GetParam().size);
    config_.norm_pix_loss = GetParam().norm_pix;
    model_ = std::make_unique<Mae>(config_, 0);
    for (Parameter& p : model_->parameters()) p.value.copy_(golden("param." + p.name));
    model_->parameters_changed();
    plan_ = {at::argsort(golden("noise"), /*stable=*/true, 1),
             visible_count(config_.n_patches(), 0.75)};
  }
  const at::Tensor& golden(const std::string& name) const { return golden_tensor(file_, name); }

  TensorFile file_;
  MaeConfig config_;
  std::unique_ptr<Mae> model_;
  MaskPlan plan_;
};

// 1e-5: both sides sum in fp32, in different orders.
TEST_P(MaeGolden, ForwardEqualsTransformers) {
  const MaeOutput out = model_->forward(golden("pixels"), plan_);
  EXPECT_LT(relative_error(out.latent, golden("latent")), 1e-5);
  EXPECT_LT(relative_error(out.pred, golden("pred")), 1e-5);
  EXPECT_TRUE(mask_of(plan_).equal(golden("mask")));
  const double loss = golden(GetParam().norm_pix ? "norm_pix.loss" : "plain.loss").item<double>();
  EXPECT_NEAR(out.loss, loss, 1e-5 * loss);
}

TEST_P(MaeGolden, EveryGradientEqualsTransformers) {
  const double loss = model_->forward_backward(golden("pixels"), plan_).mean.item<double>();
  const std::string tag = GetParam().norm_pix ? "norm_pix." : "plain.";
  EXPECT_NEAR(loss, golden(tag + "loss").item<double>(), 1e-5 * loss);
  int compared = 0;
  for (const Parameter& p : model_->parameters()) {
    if (!p.trained()) continue;
    EXPECT_LT(relative_error(p.grad, golden(tag + "grad." + p.name)), 1e-5) << p.name;
    ++compared;
  }
  EXPECT_EQ(compared, 12 * (config_.encoder.depth + config_.decoder.depth) + 12);
}

TEST_P(MaeGolden, GradientsAccumulateWithTheirScale) {
  model_->forward_backward(golden("pixels"), plan_, 0.25);
  model_->forward_backward(golden("pixels"), plan_, 0.5);
  const std::string tag = GetParam().norm_pix ? "norm_pix." : "plain.";
  for (const Parameter& p : model_->parameters())
    if (p.trained()) {
      EXPECT_LT(relative_error(p.grad, golden(tag + "grad." + p.name).mul(0.75)), 1e-5) << p.name;
    }
}

// Through the encoder for visible patches, through the target for masked ones.
TEST_P(MaeGolden, GradientOfThePixelsEqualsTransformers) {
  at::Tensor dpixels;
  model_->forward_backward(golden("pixels"), plan_, 0.5, &dpixels);
  const std::string tag = GetParam().norm_pix ? "norm_pix." : "plain.";
  EXPECT_LT(relative_error(dpixels, golden(tag + "dpixels").mul(0.5)), 1e-5);
}

TEST_P(MaeGolden, LossPerPatchIsThatOfThePrediction) {
  const MaeLoss loss = model_->forward_backward(golden("pixels"), plan_);
  at::Tensor target = patchify(golden("pixels"), config_.patch_size);
  if (config_.norm_pix_loss)
    target = target.sub(target.mean({2}, true)).div(target.var({2}, true, true).add(1e-6).sqrt());
  const at::Tensor masked = plan_.order.narrow(1, plan_.n_visible, loss.per_patch.size(1));
  const at::Tensor expected = golden("pred").sub(target).square().mean({2}).gather(1, masked);
  EXPECT_LT(relative_error(loss.per_patch, expected), 1e-5);
  EXPECT_NEAR(loss.per_patch.mean().item<double>(), loss.mean.item<double>(), 1e-5);
}

TEST_P(MaeGolden, TellsWhenGradientsAreFinal) {
  Listener listener;
  model_->forward_backward(golden("pixels"), plan_, 1, nullptr, listener.ready());
  listener.expect_all_once(model_->parameters());
  const std::string last = str("blocks.", config_.encoder.depth - 1, ".norm1.weight");
  EXPECT_LT(listener.place("decoder_blocks.0.norm1.weight"), listener.place(last));
  EXPECT_LT(listener.place(last), listener.place("blocks.0.norm1.weight"));
  EXPECT_LT(listener.place("blocks.0.norm1.weight"), listener.place("cls_token"));
}

// What a second head hands back: the decoder's own head, told as a gradient of its tokens, must
// leave what it leaves from within.
TEST_P(MaeGolden, GradientsOfTokensGoOnAsThoseOfThePrediction) {
  MaeTrace trace;
  const MaePrediction out = model_->forward(golden("pixels"), plan_, trace);
  const at::Tensor dpred = at::randn(out.pred.sizes());
  model_->backward(dpred, {}, trace);
  const at::Tensor expected = flat_gradients(model_->parameters()).clone();
  at::Tensor weight, bias;
  for (Parameter& p : model_->parameters()) {
    if (p.name == "decoder_pred.weight") weight = p.value;
    if (p.name == "decoder_pred.bias") bias = p.value;
    if (p.name.starts_with("decoder_pred")) p.grad.zero_();
  }
  EXPECT_LT(relative_error(out.tokens.matmul(weight.t()).add(bias), out.pred), 1e-5);
  const at::Tensor within = flat_gradients(model_->parameters()).clone();
  EXPECT_FALSE(within.equal(expected));
  flat_gradients(model_->parameters()).zero_();
  for (const double share : {0.25, 0.75}) {  // and they add up
    model_->forward(golden("pixels"), plan_, trace = {});
    model_->backward({}, dpred.matmul(weight).mul(share), trace);
  }
  EXPECT_LT(relative_error(flat_gradients(model_->parameters()), within), 1e-5);

  flat_gradients(model_->parameters()).zero_();
  model_->forward(golden("pixels"), plan_, trace = {});
  model_->backward(dpred.mul(0.5), dpred.matmul(weight).mul(0.5), trace);
  for (Parameter& p : model_->parameters())
    if (p.name.starts_with("decoder_pred")) p.grad.zero_();
  EXPECT_LT(relative_error(flat_gradients(model_->parameters()), within), 1e-5);
}

TEST_P(MaeGolden, CheckpointedBlocksGiveTheSameGradients) {
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    model_->set_precision(precision);
    at::Tensor expected;
    for (const bool checkpoint : {false, true}) {
      model_->checkpoint_activations(checkpoint);
      flat_gradients(model_->parameters()).zero_();
      MaeTrace trace;
      const MaePrediction out = model_->forward(golden("pixels"), plan_, trace);
      for (const BlockTrace& block : trace.encoder.blocks) {
        EXPECT_EQ(block.input.x.defined(), checkpoint);
        EXPECT_EQ(block.attention.qkv.defined() || block.mlp.h.defined(), !checkpoint);
      }
      model_->backward(golden("pred").narrow(1, 0, out.pred.size(1)), {}, trace);
      const at::Tensor gradients = flat_gradients(model_->parameters()).clone();
      if (checkpoint) {
        EXPECT_TRUE(gradients.equal(expected));
      }
      expected = gradients;
    }
  }
  model_->checkpoint_activations(false);
}

// bf16 keeps 8 bits of mantissa: 0.4 % per rounding, which layers add up; gradients of attention
// and norms cancel the most.
TEST_P(MaeGolden, Bf16StaysNear) {
  model_->set_precision(Precision::bf16);
  const double loss = model_->forward_backward(golden("pixels"), plan_).mean.item<double>();
  const std::string tag = GetParam().norm_pix ? "norm_pix." : "plain.";
  EXPECT_NEAR(loss, golden(tag + "loss").item<double>(), 0.02 * loss);
  for (const Parameter& p : model_->parameters())
    if (p.trained() && p.value.dim() > 1) {
      EXPECT_LT(relative_error(p.grad, golden(tag + "grad." + p.name)), 0.1) << p.name;
    }
}

TEST_P(MaeGolden, OutputsAndGradientsEqualTransformersOnAnotherDevice) {
  model_->move_to(other_device());
  const std::string tag = GetParam().norm_pix ? "norm_pix." : "plain.";
  const double loss = golden(tag + "loss").item<double>();
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    const double tolerance = tolerance_of(precision);
    model_->set_precision(precision);
    const MaeOutput out = model_->forward(golden("pixels"), plan_);
    EXPECT_LT(relative_error(out.latent, golden("latent")), tolerance);
    EXPECT_LT(relative_error(out.pred, golden("pred")), tolerance);
    EXPECT_NEAR(out.loss, loss, tolerance * loss);
    for (Parameter& p : model_->parameters())
      if (p.trained()) p.grad.zero_();
    model_->forward_backward(golden("pixels"), plan_);
    for (const Parameter& p : model_->parameters()) {
      if (!p.trained()) continue;
      EXPECT_LT(relative_error(p.grad, golden(tag + "grad." + p.name)), tolerance) << p.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, MaeGolden,
                         testing::Values(Golden{"square", false}, Golden{"square", true},
                                         Golden{"small_patch", false}, Golden{"small_patch", true}),
                         [](const auto& info) {
                           return info.param.size + (info.param.norm_pix ? "_norm_pix" : "_plain");
                         });

TEST(Mae, ParameterCountsOfThePublishedModels) {
  const auto count = [](const std::string& name) {
    const Mae model(named_config(name), std::nullopt);
    std::int64_t total = 0;
    for (const Parameter& p : model.parameters()) total += p.value.numel();
    return total;
  };
  EXPECT_EQ(count("mae_vit_base_patch16"), 111'907'840);  // 111.91 M (mmpretrain's table)
}

// A branch whose last layer is zero adds nothing, which ties the stations of the stream together.
TEST(Mae, TapsFollowTheResidualStream) {
  const MaeConfig config = config_of("square");
  Mae model(config, 3);
  for (Parameter& p : model.parameters())
    if (p.name.starts_with("blocks.0.attn.proj") || p.name.starts_with("blocks.1.mlp.fc2"))
      p.value.zero_();
  model.parameters_changed();
  Taps taps({"encoder.embed", "encoder.0.attention_add", "encoder.0.block_out",
             "encoder.1.attention_add", "encoder.1.block_out"});
  model.encode(at::randn({2, config.channels, config.height, config.width}), &taps, true);
  EXPECT_TRUE(taps["encoder.0.attention_add"].equal(taps["encoder.embed"]));
  EXPECT_FALSE(taps["encoder.0.block_out"].equal(taps["encoder.embed"]));
  EXPECT_FALSE(taps["encoder.1.attention_add"].equal(taps["encoder.0.block_out"]));
  EXPECT_TRUE(taps["encoder.1.block_out"].equal(taps["encoder.1.attention_add"]));
}

TEST(Mae, NonSquareAndTaps) {
  MaeConfig config = config_of("square");
  config.height = 16;
  config.width = 40;
  const Mae model(config, 3);
  const at::Tensor pixels = at::randn({2, 3, 16, 40});
  Taps taps(
      {"encoder.0.attention", "encoder.1.attention_out", "encoder.1.block_out", "encoder.0.key"});
  const at::Tensor latent = model.encode(pixels, &taps);
  EXPECT_EQ(latent.sizes(), (std::vector<std::int64_t>{2, 11, 32}));
  EXPECT_EQ(taps["encoder.0.attention"].sizes(), (std::vector<std::int64_t>{2, 4, 11, 11}));
  EXPECT_LT(taps["encoder.0.attention"].sum(-1).sub(1).abs().max().item<double>(), 1e-5);
  EXPECT_EQ(taps["encoder.1.attention_out"].sizes(), (std::vector<std::int64_t>{2, 11, 32}));
  EXPECT_EQ(taps.values().size(), 4u);
  Taps only({"encoder.0.block_out"});
  EXPECT_FALSE(model.encode(pixels, &only, /*taps_only=*/true).defined());
  EXPECT_EQ(only["encoder.0.block_out"].sizes(), (std::vector<std::int64_t>{2, 11, 32}));
}

TEST(Mae, WrongInputsAreUserErrors) {
  Mae model(config_of("square"), 0);
  EXPECT_THROW(model.encode(at::randn({1, 3, 40, 32})), Error);
  MaeConfig config = config_of("square");
  config.patch_size = 7;
  EXPECT_THROW(Mae(config, 0), Error);
}

}  // namespace
}  // namespace sgmae
