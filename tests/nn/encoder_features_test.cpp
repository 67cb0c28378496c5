// The encoder read at several depths. Oracle: timm's VisionTransformer and PyTorch's autograd
// (tests/golden/vit_features.py): outputs of four blocks, and every gradient, that of the pixels
// too, for gradients that enter at each; the encoder's own forward and backward where both apply.
#include <ATen/Parallel.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randn_like.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "sgmae/base/error.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/nn/vit.h"
#include "tests/nn/listener.h"

namespace sgmae {
namespace {

const std::vector<std::int64_t> blocks{1, 2, 4, 5};

double relative_error(const at::Tensor& ours, const at::Tensor& theirs) {
  return ours.sub(theirs).norm().item<double>() / std::max(theirs.norm().item<double>(), 1e-12);
}

VitConfig config() {
  VitConfig c;
  c.height = 12, c.width = 20, c.patch_size = 4;
  c.size = {16, 7, 2};
  c.mlp_hidden = 32;
  return c;
}

class EncoderFeatures : public testing::Test {
 protected:
  EncoderFeatures()
      : file_(read_safetensors(SGMAE_TEST_DATA "/nn/vit_features.safetensors")),
        model_(config(), 0) {
    at::set_num_threads(1);  // tiny tensors: threads would only wait for each other
    for (Parameter& p : model_.parameters()) p.value.copy_(golden("param." + p.name));
    model_.parameters_changed();
  }
  const at::Tensor& golden(const std::string& name) const {
    const at::Tensor* tensor = file_.find(name);
    if (!tensor) throw std::runtime_error("no golden " + name);
    return *tensor;
  }
  std::vector<at::Tensor> given_gradients() const {
    std::vector<at::Tensor> gradients;
    for (const std::int64_t block : blocks) gradients.push_back(golden(str("dfeature.", block)));
    return gradients;
  }

  TensorFile file_;
  Vit model_;
};

// 1e-5: both sides sum in fp32, in different orders.
TEST_F(EncoderFeatures, EqualTimms) {
  const auto features = model_.encoder().forward_features(golden("pixels"), blocks, nullptr);
  ASSERT_EQ(features.size(), blocks.size());
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    ASSERT_EQ(features[i].sizes(), golden(str("feature.", blocks[i])).sizes());
    EXPECT_LT(relative_error(features[i], golden(str("feature.", blocks[i]))), 1e-5) << blocks[i];
  }
}

TEST_F(EncoderFeatures, GradientsThatEnterAtFourDepthsEqualAutograds) {
  EncoderTrace trace;
  model_.encoder().forward_features(golden("pixels"), blocks, &trace);
  EXPECT_EQ(trace.blocks.size(), 6u) << "nothing runs behind the last that is read";
  Listener listener;
  trace.gradients_ready = listener.ready();
  at::Tensor dpixels;
  model_.encoder().backward_features(given_gradients(), trace, &dpixels);
  EXPECT_LT(relative_error(dpixels, golden("dpixels")), 1e-5);
  int compared = 0;
  for (const Parameter& p : model_.parameters()) {
    const at::Tensor* expected = file_.find("grad." + p.name);
    if (!expected) {  // the last block and the norm
      EXPECT_FALSE(p.grad.any().item<bool>()) << p.name;
      continue;
    }
    EXPECT_LT(relative_error(p.grad, *expected), 1e-5) << p.name;
    ++compared;
  }
  EXPECT_EQ(compared, 6 * 12 + 4);
  listener.expect_all_once(model_.parameters());
  EXPECT_LT(listener.place("blocks.6.norm1.weight"), listener.place("blocks.5.norm1.weight"));
  EXPECT_LT(listener.place("blocks.1.norm1.weight"), listener.place("blocks.0.norm1.weight"));
}

TEST_F(EncoderFeatures, UndefinedGradientsAreNone) {
  const auto gradients = [&](std::vector<at::Tensor> entering) {
    flat_gradients(model_.parameters()).zero_();
    EncoderTrace trace;
    model_.encoder().forward_features(golden("pixels"), blocks, &trace);
    model_.encoder().backward_features(entering, trace);
    return flat_gradients(model_.parameters()).clone();
  };
  const auto given = given_gradients();
  const at::Tensor zeros = at::zeros_like(given[0]);
  EXPECT_TRUE(
      gradients({given[0], {}, given[2], {}}).equal(gradients({given[0], zeros, given[2], zeros})));
}

// Without a final norm the last block's output is what forward returns, and their gradients are
// one.
TEST(EncoderFeaturesAlone, OfTheLastBlockAreTheForwardPass) {
  at::set_num_threads(1);
  VitConfig c = config();
  c.pooling = Pooling::mean;
  c.registers = 2;
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    Vit one(c, 1), other(c, 1);
    for (Vit* model : {&one, &other}) model->set_precision(precision);
    const at::Tensor pixels = at::randn({2, 3, 12, 20});
    EncoderTrace one_trace, other_trace;
    const at::Tensor out =
        one.encoder().forward(pixels, whole_image(2, c.n_patches()), &one_trace, nullptr);
    const auto features = other.encoder().forward_features(pixels, {0, 6}, &other_trace);
    EXPECT_EQ(features[1].sizes(), (at::IntArrayRef{2, 3 + 15, 16}));
    EXPECT_TRUE(features[1].view({-1, 16}).equal(out));
    const at::Tensor d = at::randn_like(out);
    at::Tensor one_dpixels, other_dpixels;
    one.encoder().backward(d, one_trace, &one_dpixels);
    other.encoder().backward_features({{}, d.view_as(features[1])}, other_trace, &other_dpixels);
    EXPECT_TRUE(flat_gradients(one.parameters()).equal(flat_gradients(other.parameters())));
    EXPECT_TRUE(one_dpixels.equal(other_dpixels));
  }
}

// A smaller image has the upper left corner of the model's positions, absolute and relative: a
// model of its size with these tables cut out by hand gives the same, also the gradients.
TEST(EncoderOfSmallerImages, SeesTheUpperLeftCornerOfItsCanvas) {
  VitConfig whole = config();
  whole.class_token = whole.final_norm = false;
  whole.size.depth = 3;
  whole.attention = {{2, RelativePosition::decomposed},
                     {0, RelativePosition::decomposed},
                     {0, RelativePosition::bias}};
  VitConfig part = whole;
  part.height = 8, part.width = 12;  // 2 x 3 of 3 x 5 patches
  Vit large(whole, 1), small(part, 2);
  for (Parameter& p : large.parameters()) p.value.add_(at::randn_like(p.value), 0.3);
  const auto cut = [&](const std::string& name, const at::Tensor& table) {
    if (name == "pos_embed")
      return table.view({3, 5, -1}).narrow(0, 0, 2).narrow(1, 0, 3).reshape({1, 6, -1});
    if (name.find("bias_table") != std::string::npos)
      return table.view({5, 9, -1}).narrow(0, 1, 3).narrow(1, 2, 5).reshape({15, -1});
    if (name == "blocks.1.attn.rel_pos_h") return table.narrow(0, 1, 3);
    if (name == "blocks.1.attn.rel_pos_w") return table.narrow(0, 2, 5);
    return table;
  };
  for (std::size_t i = 0; i < large.parameters().size(); ++i)
    small.parameters()[i].value.copy_(cut(large.parameters()[i].name, large.parameters()[i].value));
  large.parameters_changed();
  small.parameters_changed();
  const at::Tensor pixels = at::randn({2, 3, 8, 12});
  EncoderTrace of_large, of_small;
  const at::Tensor there = large.encoder().forward_features(pixels, {2}, &of_large)[0];
  const at::Tensor expected = small.encoder().forward_features(pixels, {2}, &of_small)[0];
  EXPECT_LT(relative_error(there, expected), 1e-6);
  const at::Tensor gradient = at::randn_like(expected);
  at::Tensor dlarge, dsmall;
  large.encoder().backward_features({gradient}, of_large, &dlarge);
  small.encoder().backward_features({gradient}, of_small, &dsmall);
  EXPECT_LT(relative_error(dlarge, dsmall), 1e-5);
  for (std::size_t i = 0; i < large.parameters().size(); ++i) {
    const Parameter& p = large.parameters()[i];
    EXPECT_LT(relative_error(cut(p.name, p.grad), small.parameters()[i].grad), 1e-5) << p.name;
    // Nothing beside the corner.
    EXPECT_NEAR(p.grad.sum().item<double>(), small.parameters()[i].grad.sum().item<double>(),
                1e-3 * p.grad.norm().item<double>())
        << p.name;
  }
}

TEST(EncoderOfSmallerImages, LargerOnesAndBrokenPatchesAreRefused) {
  const Vit model(config(), 1);
  for (const auto& [height, width] : {std::pair{16, 20}, {12, 24}, {10, 20}, {12, 18}, {0, 20}})
    EXPECT_THROW(model.encoder().forward_features(at::randn({1, 3, height, width}), {0}, nullptr),
                 Error)
        << height << "x" << width;
  EXPECT_THROW(model.encode(at::randn({1, 3, 8, 12})), Error) << "only for features";
}

}  // namespace
}  // namespace sgmae
