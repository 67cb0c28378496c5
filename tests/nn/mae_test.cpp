// Oracle: transformers' ViTMAEForPreTraining (tests/golden/mae.py), given the same weights, pixels
// and noise: outputs, loss and every gradient, that of the pixels too.
#include "sgmae/nn/mae.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <algorithm>

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

// With every token as heavy as it is all patches are predicted, the visible ones too. Oracles: the
// whole forward pass; central differences, in fp32.
TEST_P(MaeGolden, TokensMayBeWeighted) {
  const at::Tensor pixels = golden("pixels");
  const std::int64_t batch = pixels.size(0), n = config_.n_patches();
  const MaskPlan plan = whole_image(batch, n);
  MaeTrace plain;
  plain.encoder.token_weights = at::ones({batch, n});
  EXPECT_LT(
      relative_error(model_->forward(pixels, plan, plain).pred, model_->forward(pixels, plan).pred),
      1e-5);

  const at::Tensor weights = noise({batch, n}, 1).sigmoid();
  const auto loss_at = [&](const at::Tensor& w) {
    MaeTrace trace;
    trace.encoder.token_weights = w;
    return model_->forward(pixels, plan, trace).pred.to(at::kDouble).square().mean().item<double>();
  };
  MaeTrace trace;
  trace.encoder.token_weights = weights;
  const at::Tensor pred = model_->forward(pixels, plan, trace).pred;
  model_->backward(pred.mul(2.0 / static_cast<double>(pred.numel())), {}, trace);
  const at::Tensor gradient = trace.encoder.dtoken_weights;
  ASSERT_EQ(gradient.sizes(), weights.sizes());
  const at::Tensor along = gradient.div(gradient.norm());
  const double h = 0.02;
  EXPECT_NEAR((loss_at(weights.add(along, h)) - loss_at(weights.sub(along, h))) / (2 * h),
              gradient.norm().item<double>(), 1e-2 * gradient.norm().item<double>());

  // The weights of tokens act on the stream, and so on what the patch embedding learns.
  Parameter& embedding =
      *std::find_if(model_->parameters().begin(), model_->parameters().end(),
                    [](const Parameter& p) { return p.name == "patch_embed.proj.bias"; });
  const double slope = embedding.grad.norm().item<double>();
  const at::Tensor direction = embedding.grad.div(slope), before = embedding.value.clone();
  const auto loss_with = [&](double step) {
    embedding.value.copy_(before.add(direction, step));
    model_->parameters_changed();
    return loss_at(weights);
  };
  EXPECT_NEAR((loss_with(h) - loss_with(-h)) / (2 * h), slope, 1e-2 * slope);
}

// Parameters without gradients get none, and the rest is as if they had.
TEST_P(MaeGolden, AFrozenModelIsOnlyLookedThrough) {
  at::Tensor expected, dpixels;
  model_->forward_backward(golden("pixels"), plan_, 0.5, &expected);
  for (Parameter& parameter : model_->parameters()) parameter.grad = at::Tensor();
  model_->forward_backward(golden("pixels"), plan_, 0.5, &dpixels);
  EXPECT_TRUE(dpixels.equal(expected));
  for (const Parameter& parameter : model_->parameters()) EXPECT_FALSE(parameter.trained());
}

// Oracle: the whole forward pass.
TEST_P(MaeGolden, ASinglePatchMayBeMasked) {
  MaskPlan plan = plan_;
  plan.n_visible = config_.n_patches() - 1;
  MaeTrace trace;
  const at::Tensor pred = model_->forward(golden("pixels"), plan, trace).pred.squeeze(1);
  const at::Tensor all = model_->forward(golden("pixels"), plan).pred;
  for (std::int64_t i = 0; i < pred.size(0); ++i)
    EXPECT_LT(relative_error(pred[i], all[i][plan.masked()[i][0].item<std::int64_t>()]), 1e-5);
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

// Thrown patches leave no trace. Oracle: an image of the others alone, side by side, whose places
// are those that they have.
TEST_P(MaeGolden, ThrownPatchesAreNotThere) {
  const std::int64_t n = config_.n_patches(), p = config_.patch_size, thrown = n / 4;
  const at::Tensor pixels = golden("pixels").narrow(0, 0, 1);
  const MaskPlan plan{plan_.order.narrow(0, 0, 1).contiguous(), plan_.n_visible, thrown};
  at::Tensor dpixels;
  const MaeLoss loss = model_->forward_backward(pixels, plan, 1, &dpixels);

  const at::Tensor kept = plan.order[0].narrow(0, 0, n - thrown);
  MaeConfig row = config_;
  row.height = p;
  row.width = p * (n - thrown);
  Mae alone(row, 0);
  for (std::size_t i = 0; i < alone.parameters().size(); ++i) {
    const Parameter& from = model_->parameters()[i];
    at::Tensor value = from.value;
    if (from.name == "pos_embed" || from.name == "decoder_pos_embed")
      value = at::cat({value.narrow(1, 0, 1), value.index_select(1, kept.add(1))}, 1);
    alone.parameters()[i].value.copy_(value);
  }
  alone.parameters_changed();
  const at::Tensor patches = patchify(pixels, p).index_select(1, kept);
  const MaskPlan rest{at::arange(n - thrown, at::kLong).unsqueeze(0), plan.n_visible};
  at::Tensor drow;
  const MaeLoss expected = alone.forward_backward(
      unpatchify(patches, config_.channels, row.height, row.width), rest, 1, &drow);
  EXPECT_LT(relative_error(loss.per_patch, expected.per_patch), 1e-6);
  for (std::size_t i = 0; i < alone.parameters().size(); ++i) {
    const Parameter &ours = model_->parameters()[i], &theirs = alone.parameters()[i];
    if (ours.trained()) {
      EXPECT_LT(relative_error(ours.grad, theirs.grad), 1e-5) << ours.name;
    }
  }
  const at::Tensor dpatches = patchify(dpixels, p);
  EXPECT_LT(relative_error(dpatches.index_select(1, kept), patchify(drow, p)), 1e-5);
  EXPECT_EQ(dpatches.index_select(1, plan.order[0].narrow(0, n - thrown, thrown))
                .abs()
                .max()
                .item<double>(),
            0.0);
}

// What another reader of the decoder's input hands back joins the decoder's own gradient: of the
// mask token the sum over masked rows, of the embedding's bias that over the others.
TEST_P(MaeGolden, AReaderOfTheDecodersInputAddsItsGradient) {
  model_->forward_backward(golden("pixels"), plan_);
  const auto grad = [&](const std::string& name) {
    for (const Parameter& p : model_->parameters())
      if (p.name == name) return p.grad.clone().flatten();
    throw std::runtime_error(name);
  };
  const at::Tensor token = grad("mask_token"), bias = grad("decoder_embed.bias"),
                   cls = grad("cls_token");
  for (Parameter& p : model_->parameters())
    if (p.trained()) p.grad.zero_();
  at::Tensor added, input;
  MaeLoss told;
  model_->forward_backward(golden("pixels"), plan_, 1, nullptr, {},
                           [&](const at::Tensor& decoder_input, const MaeLoss& loss) {
                             input = decoder_input.clone();
                             told = loss;
                             return added = at::randn(decoder_input.sizes());
                           });
  const std::int64_t batch = plan_.order.size(0), seen = 1 + plan_.n_visible;
  const at::Tensor rows = added.view({batch, -1, added.size(1)});
  EXPECT_EQ(rows.size(1), 1 + config_.n_patches());
  EXPECT_TRUE(input.equal(model_->decoder_input(golden("pixels"), plan_)));
  EXPECT_EQ(told.per_patch.sizes(), (at::IntArrayRef{batch, plan_.n_masked()}));
  EXPECT_LT(relative_error(grad("mask_token").sub(token),
                           rows.narrow(1, seen, plan_.n_masked()).sum(at::IntArrayRef{0, 1})),
            1e-4);
  EXPECT_LT(relative_error(grad("decoder_embed.bias").sub(bias),
                           rows.narrow(1, 0, seen).sum(at::IntArrayRef{0, 1})),
            1e-4);
  EXPECT_GT(relative_error(grad("cls_token"), cls), 1e-2);  // and goes on to the encoder
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

// Of one visible patch each, whose rows lie apart among those of the class tokens.
TEST(Mae, ABatchLearnsWhatItsImagesDoAlone) {
  const MaeConfig config = config_of("square");
  const at::Tensor pixels = at::randn({3, config.channels, config.height, config.width});
  const MaskPlan plan{at::arange(config.n_patches()).repeat({3, 1}), 1};
  Mae together(config, 3), alone(config, 3);
  together.forward_backward(pixels, plan);
  for (std::int64_t i = 0; i < 3; ++i)
    alone.forward_backward(pixels.narrow(0, i, 1), {plan.order.narrow(0, i, 1), 1}, 1.0 / 3);
  for (std::size_t i = 0; i < alone.parameters().size(); ++i) {
    const Parameter &ours = together.parameters()[i], &sum = alone.parameters()[i];
    if (ours.trained()) {
      EXPECT_LT(relative_error(ours.grad, sum.grad), 1e-5) << ours.name;
    }
  }
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
