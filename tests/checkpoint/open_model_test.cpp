// Oracle: tiny random models of transformers and timm, saved by themselves, and what they make of
// given pixels (tests/golden/families.py).
#include "sgmae/checkpoint/open_model.h"

#include <ATen/ops/argsort.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "sgmae/base/error.h"
#include "sgmae/checkpoint/write_model.h"
#include "sgmae/io/safetensors.h"
#include "tests/checkpoint/native.h"
#include "tests/peer_vits.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

const std::string kData = SGMAE_TEST_DATA "/checkpoint/";

struct Golden {
  std::string folder, expected;
  Family family;
  OpenOptions options = {};
};

class Peers : public testing::TestWithParam<Golden> {};

// 1e-5: both sides compute in fp32, in different orders.
TEST_P(Peers, OurForwardEqualsTheirs) {
  const Golden& golden = GetParam();
  const TensorFile expected = read_safetensors(kData + golden.expected + "/expected.safetensors");
  const OpenedModel opened = open_model(kData + golden.folder, golden.options);
  EXPECT_EQ(opened.family, golden.family);
  const at::Tensor& pixels = *expected.find("pixels");
  if (const at::Tensor* noise = expected.find("noise")) {
    ASSERT_TRUE(opened.mae());
    const std::int64_t n = noise->size(1);
    const MaeOutput out = opened.mae()->forward(
        pixels, {at::argsort(*noise, /*stable=*/true, 1).contiguous(), visible_count(n, 0.75)});
    EXPECT_LT(relative_error(out.latent, *expected.find("latent")), 1e-5);
    EXPECT_LT(relative_error(out.pred, *expected.find("pred")), 1e-5);
    const double loss = expected.find("loss")->item<double>();
    EXPECT_NEAR(out.loss, loss, 1e-5 * loss);
    return;
  }
  EXPECT_LT(relative_error(opened.encoder().encode(pixels), *expected.find("latent")), 1e-5);
  if (const at::Tensor* logits = expected.find("logits")) {
    EXPECT_LT(relative_error(opened.vit()->logits(pixels), *logits), 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Families, Peers,
    testing::Values(Golden{"hf_vit_mae", "hf_vit_mae", Family::hf_vit_mae},
                    Golden{"hf_vit", "hf_vit", Family::hf_vit},
                    Golden{"hf_dinov2", "hf_dinov2", Family::hf_dinov2},
                    Golden{"timm_vit", "timm_vit", Family::timm, {.heads = 2}},
                    Golden{"timm_reg", "timm_reg", Family::dinov2, {.heads = 2}},
                    Golden{"timm_no_embed", "timm_no_embed", Family::dinov2, {.heads = 2}},
                    Golden{"timm_reg_pos", "timm_reg_pos", Family::dinov2, {.heads = 2}},
                    Golden{"timm_no_bias", "timm_no_bias", Family::timm, {.heads = 2}},
                    Golden{"hf_simmim", "hf_simmim", Family::hf_vit},
                    Golden{"hf_vit_mae_mlp", "hf_vit_mae_mlp", Family::hf_vit_mae}),
    [](const auto& info) { return info.param.folder; });

// Windows, relative positions, no class token, no position embedding: through a file of our own,
// and at another image size, to which positions are stretched as transformers does it.
TEST(OpenModel, ViTDetAndBeitComeBackAndFollowToOtherSizes) {
  const fs::path path =
      fs::temp_directory_path() / str("sgmae-open-model-peers-", ::getpid(), ".safetensors");
  for (const std::string name : {"vitdet_square", "vitdet_wide", "beit"}) {
    const TensorFile golden =
        read_safetensors(std::string(SGMAE_TEST_DATA) + "/nn/" + name + ".safetensors");
    Vit model(peer_config(name), 0);
    for (Parameter& p : model.parameters()) p.value.copy_(*golden.find("param." + p.name));
    model.parameters_changed();
    ModelInfo info;
    info.mean = info.std = {0.5f, 0.5f, 0.5f};
    save_vit(path, model, info);

    const OpenedModel opened = open_model(path);
    EXPECT_EQ(to_json(opened.encoder().config()), to_json(model.config())) << name;
    const at::Tensor& pixels = *golden.find("pixels");
    EXPECT_TRUE(opened.encoder().encode(pixels).equal(model.encode(pixels))) << name;

    const at::Tensor& others = *golden.find("resized.pixels");
    const OpenedModel resized =
        open_model(path, {.height = others.size(2), .width = others.size(3)});
    EXPECT_LT(relative_error(resized.encoder().encode(others), *golden.find("resized.tokens")),
              1e-5)
        << name;
  }
  fs::remove(path);
}

// Without and with registers transformers resizes positions in two ways; up, down and not square.
TEST(OpenModel, Dinov2FollowsAnotherGridAsTransformersDoes) {
  for (const std::string folder : {"hf_dinov2_plain", "hf_dinov2"}) {
    const TensorFile expected = read_safetensors(kData + folder + "/resized.safetensors");
    for (const std::string size : {"12x20", "20x8", "4x4"}) {
      const at::Tensor& pixels = *expected.find(size + ".pixels");
      const OpenedModel opened =
          open_model(kData + folder, {.height = pixels.size(2), .width = pixels.size(3)});
      EXPECT_LT(relative_error(opened.encoder().encode(pixels), *expected.find(size + ".latent")),
                1e-5)
          << folder << " " << size;
    }
  }
}

// transformers 4 and published files, 5.x in memory, and 5.x as saved: three names for one model.
TEST(OpenModel, ReadsThreeLayoutsOfTransformers) {
  const NamedTensors saved = read_safetensors(kData + "hf_vit_mae/model.safetensors").tensors;
  const NativeTensors five = to_native(saved);
  NamedTensors published = saved;
  const std::string part = "decoder.decoder_encoder.layer.";
  int renamed = 0;
  for (auto& [name, unused] : published)
    if (name.starts_with(part)) {
      name.replace(0, part.size(), "decoder.decoder_layers.");
      ++renamed;
    }
  EXPECT_EQ(renamed, 16);
  for (const NativeTensors& other :
       {to_native(published),
        to_native(read_safetensors(kData + "hf_vit_mae_memory/model.safetensors").tensors)}) {
    ASSERT_EQ(other.tensors.size(), five.tensors.size());
    const std::map<std::string, at::Tensor> by_name(other.tensors.begin(), other.tensors.end());
    for (const auto& [name, tensor] : five.tensors) EXPECT_TRUE(by_name.at(name).equal(tensor));
  }
}

class OpenModelFile : public testing::Test {
 protected:
  std::string complaint(const ModelFile& file) {
    save_tensors(path_, file.tensors, file.mae ? to_json(*file.mae) : to_json(file.vit), file.info);
    try {
      open_model(path_);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::checkpoint);
      return error.what();
    }
    return "";
  }
  const TemporaryFolder folder_;
  const fs::path path_ = folder_.root() / "model";
};

TEST_F(OpenModelFile, FollowsAnotherInputSize) {
  write_model(path_, file_of(Mae(tiny_mae(), 1)), Family::mae);
  const OpenedModel opened = open_model(path_, {.height = 24, .width = 40});
  ASSERT_TRUE(opened.mae());
  EXPECT_EQ(opened.encoder().config().n_patches(), 15);
  const at::Tensor pixels = at::randn({1, 1, 24, 40});
  EXPECT_EQ(opened.encoder().encode(pixels).sizes(), (at::IntArrayRef{1, 16, 16}));
  EXPECT_THROW(open_model(path_, {.height = 20, .width = 40}), Error);  // patches of 8
}

// In two dimensions, the decoder's positions too: what depends on the column alone still does when
// rows are added. transformers stretches the decoder's table as one list.
TEST_F(OpenModelFile, DecoderPositionsFollowInBothDimensions) {
  ModelFile file = file_of(Mae(tiny_mae(), 1));  // 2 x 2 patches
  for (auto& [name, table] : file.tensors)
    if (name == "decoder_pos_embed")
      for (std::int64_t i = 0; i < 4; ++i) table[0][1 + i].fill_(i % 2 == 0 ? -1.0f : 1.0f);
  write_model(path_, file, Family::mae);
  const OpenedModel opened = open_model(path_, {.height = 40, .width = 16});
  int tables = 0;
  for (const Parameter& p : opened.mae()->parameters()) {
    if (p.name != "decoder_pos_embed") continue;
    ++tables;
    ASSERT_EQ(p.value.sizes(), (at::IntArrayRef{1, 11, 8}));
    for (std::int64_t i = 0; i < 10; ++i)  // 1e-6: four weights whose sum is 1
      EXPECT_NEAR(p.value[0][1 + i][0].item<float>(), i % 2 == 0 ? -1.0f : 1.0f, 1e-6) << i;
  }
  EXPECT_EQ(tables, 1);
}

TEST_F(OpenModelFile, NamesWhatIsWrong) {
  const ModelFile good = file_of(Mae(tiny_mae(), 1));
  EXPECT_EQ(complaint(good), "");

  ModelFile nan = good;
  for (auto& [name, tensor] : nan.tensors)
    if (name == "blocks.0.mlp.fc2.bias") {
      tensor = tensor.clone();
      tensor.data_ptr<float>()[3] = std::nanf("");
    }
  EXPECT_NE(complaint(nan).find("'blocks.0.mlp.fc2.bias' holds values that are not finite"),
            std::string::npos);
  for (const char* name : {"norm.weight", "pos_embed", "decoder_blocks.0.attn.proj.bias"}) {
    ModelFile less = good;
    std::erase_if(less.tensors, [&](const auto& t) { return t.first == name; });
    EXPECT_NE(complaint(less).find(str("'", name, "' is missing")), std::string::npos)
        << complaint(less);
  }
  ModelFile swiglu = good;
  swiglu.tensors.emplace_back("blocks.0.mlp.w12.weight", at::randn({2}));
  EXPECT_NE(complaint(swiglu).find("'blocks.0.mlp.w12.weight' has no place"), std::string::npos);
}

}  // namespace
}  // namespace sgmae
