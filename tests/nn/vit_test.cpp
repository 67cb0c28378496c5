// Oracle: timm's VisionTransformer (tests/golden/vit.py) with the same weights: tokens, class
// scores, and every gradient of the encoder for a given gradient of its tokens.
#include "sgmae/nn/vit.h"

#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <map>

#include "sgmae/base/error.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/nn/mae.h"
#include "tests/support/tensors.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

VitConfig config_of(const std::string& name) {
  VitConfig config;
  config.height = 8;
  config.width = name == "pool" ? 12 : 8;
  config.patch_size = 4;
  config.size = {8, 2, 2};
  config.mlp_hidden = 32;
  config.classes = 3;
  if (name == "pool") {
    config.pooling = Pooling::mean;
  } else {
    config.layer_scale = true;
    config.registers = 2;
  }
  return config;
}

class VitGolden : public testing::TestWithParam<std::string> {
 protected:
  VitGolden()
      : file_(read_safetensors(SGMAE_TEST_DATA "/nn/vit_" + GetParam() + ".safetensors")),
        model_(config_of(GetParam()), 0) {
    for (Parameter& p : model_.parameters()) p.value.copy_(golden("param." + p.name));
    model_.parameters_changed();
  }
  const at::Tensor& golden(const std::string& name) const { return golden_tensor(file_, name); }

  TensorFile file_;
  Vit model_;
};

// 1e-5: both sides sum in fp32, in different orders.
TEST_P(VitGolden, TokensAndScoresEqualTimm) {
  EXPECT_LT(relative_error(model_.encode(golden("pixels")), golden("tokens")), 1e-5);
  EXPECT_LT(relative_error(model_.logits(golden("pixels")), golden("logits")), 1e-5);
}

TEST_P(VitGolden, EveryGradientOfTheEncoderEqualsTimm) {
  const VitConfig& config = model_.config();
  EncoderTrace trace;
  if (file_.find("drop_path.0.1"))
    for (int i = 0; i < config.size.depth; ++i)
      trace.drop_path.push_back(
          {golden(str("drop_path.", i, ".1")), golden(str("drop_path.", i, ".2"))});
  const at::Tensor& pixels = golden("pixels");
  model_.encoder().forward(pixels, whole_image(pixels.size(0), config.n_patches()), &trace,
                           nullptr);
  model_.encoder().backward(golden("dtokens").view({-1, config.size.dim}), trace);
  for (const Parameter& p : model_.parameters()) {
    if (p.name.starts_with("head") || p.name.starts_with("fc_norm")) continue;
    EXPECT_LT(relative_error(p.grad, golden("grad." + p.name)), 1e-5) << p.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, VitGolden, testing::Values("pool", "dino"));

// The linear probe's head: (x - mean) / sqrt(var + 1e-6), then a linear layer, written out.
TEST(Vit, BatchNormHeadUsesItsStatistics) {
  VitConfig config = encoder_config(tiny_mae());
  config.classes = 2;
  config.batch_norm_head = true;
  Vit model(config, 0);
  std::map<std::string, at::Tensor> parameters;
  for (Parameter& p : model.parameters()) parameters[p.name] = p.value;
  parameters.at("head.0.running_mean").copy_(at::randn({16}));
  parameters.at("head.0.running_var").copy_(at::randn({16}).square());
  const at::Tensor pixels = at::randn({2, 1, 16, 16});
  const at::Tensor cls = model.encode(pixels).select(1, 0);
  const at::Tensor normed = cls.sub(parameters.at("head.0.running_mean"))
                                .div(parameters.at("head.0.running_var").add(1e-6).sqrt());
  const at::Tensor expected = normed.matmul(parameters.at("head.1.weight").t());  // bias is 0
  EXPECT_LT(relative_error(model.logits(pixels), expected), 1e-6);
  for (const Parameter& p : model.parameters())
    EXPECT_EQ(p.trained(), !p.name.starts_with("head.0")) << p.name;
}

// A Vit without head is the autoencoder's encoder.
TEST(Vit, EqualsTheEncoderOfAMae) {
  const Mae mae(tiny_mae(), 5);
  Vit vit(encoder_config(tiny_mae()), 6);
  for (Parameter& p : vit.parameters())
    for (const Parameter& q : mae.parameters())
      if (p.name == q.name) p.value.copy_(q.value);
  vit.parameters_changed();
  const at::Tensor pixels = at::randn({2, 1, 16, 16});
  EXPECT_TRUE(vit.encode(pixels).equal(mae.encode(pixels)));
}

TEST(Vit, RefusesWhatItCannotDo) {
  const Vit vit(encoder_config(tiny_mae()), 0);
  EXPECT_THROW(vit.logits(at::zeros({1, 1, 16, 16})), Error);
  EXPECT_THROW(vit.encode(at::zeros({1, 3, 16, 16})), Error);
  VitConfig config = encoder_config(tiny_mae());
  config.size.heads = 3;
  EXPECT_THROW(Vit(config, 0), Error);
}

}  // namespace
}  // namespace sgmae
