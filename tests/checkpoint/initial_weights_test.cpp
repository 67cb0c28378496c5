// Oracle: the model that a checkpoint itself opens as, on the same pixels.
#include "sgmae/checkpoint/initial_weights.h"

#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "sgmae/base/error.h"
#include "sgmae/checkpoint/open_model.h"
#include "tests/support/tensors.h"

namespace sgmae {
namespace {

const std::string kData = SGMAE_TEST_DATA "/checkpoint/";

struct Begun {
  Mae model;
  std::string said;
};

Begun begin(const std::string& folder, const OpenOptions& options = {},
            const std::function<void(MaeConfig&)>& change = {}) {
  const ModelFile file = examine_model_file(kData + folder, options);
  MaeConfig config = autoencoder_of(file);
  if (change) change(config);
  Begun begun{Mae(config, 3), ""};
  begun.said = copy_initial_weights(file, begun.model).said;
  return begun;
}

at::Tensor noise(const VitConfig& config, std::int64_t channels) {
  return at::randn({2, channels, config.height, config.width});
}

// MAE's rows of class token and patches; those of registers lie between them elsewhere.
TEST(InitialWeights, AnAutoencoderComesWhole) {
  const OpenedModel opened = open_model(kData + "hf_vit_mae");
  const Begun begun = begin("hf_vit_mae");
  for (const Parameter& parameter : begun.model.parameters())
    for (const Parameter& there : opened.mae()->parameters())
      if (there.name == parameter.name) {
        EXPECT_TRUE(parameter.value.equal(there.value)) << there.name;
      }
  EXPECT_NE(begun.said.find("the encoder and the decoder of"), std::string::npos) << begun.said;
}

TEST(InitialWeights, EncodersOfOtherFamiliesSeeTheSame) {
  for (const char* folder : {"hf_vit", "hf_dinov2"}) {
    ModelFile file = examine_model_file(kData + folder);
    std::erase_if(file.tensors, [](const auto& tensor) { return tensor.first == "reg_token"; });
    file.vit.registers = 0;  // which an autoencoder cannot have
    const Vit there = make_vit(file);
    Begun begun{Mae(autoencoder_of(file), 3), ""};
    begun.said = copy_initial_weights(file, begun.model).said;
    const at::Tensor pixels = noise(there.config(), there.config().channels);
    EXPECT_LT(relative_error(begun.model.encode(pixels), there.encoder().encode(pixels)), 1e-5)
        << folder << ": LayerScale has become part of the projections";
    EXPECT_NE(begun.said.find("no decoder, and a fresh one"), std::string::npos) << begun.said;
    const Mae fresh(begun.model.config(), 3);
    for (std::size_t i = 0; i < fresh.parameters().size(); ++i)
      if (fresh.parameters()[i].name.starts_with("decoder_")) {
        EXPECT_TRUE(begun.model.parameters()[i].value.equal(fresh.parameters()[i].value));
      }
  }
}

TEST(InitialWeights, RegistersAreLeftOutAndSaid) {
  const Begun begun = begin("timm_reg", {.heads = 2});
  EXPECT_NE(begun.said.find("registers are left out"), std::string::npos) << begun.said;
}

TEST(InitialWeights, PositionsFollowToAnotherGrid) {
  const VitConfig there = examine_model_file(kData + "hf_vit").vit;
  const std::int64_t side = there.height + 2 * there.patch_size;
  const OpenedModel opened = open_model(kData + "hf_vit", {.height = side, .width = side});
  const Begun begun = begin("hf_vit", {}, [&](MaeConfig& c) { c.height = c.width = side; });
  const at::Tensor pixels = noise(opened.encoder().config(), there.channels);
  EXPECT_LT(relative_error(begun.model.encode(pixels), opened.encoder().encode(pixels)), 1e-5);
}

TEST(InitialWeights, GreyPixelsGiveTheSameInAnyNumberOfChannels) {
  const OpenedModel opened = open_model(kData + "hf_vit_mae");
  const std::int64_t own = opened.encoder().config().channels;
  const at::Tensor grey = noise(opened.encoder().config(), 1);
  const at::Tensor expected = opened.encoder().encode(grey.repeat({1, own, 1, 1}));
  for (const std::int64_t channels : {1, 5}) {
    const Begun begun = begin("hf_vit_mae", {}, [&](MaeConfig& c) { c.channels = channels; });
    EXPECT_LT(relative_error(begun.model.encode(grey.repeat({1, channels, 1, 1})), expected), 1e-5);
    EXPECT_NE(begun.said.find(str("spread over ", channels)), std::string::npos) << begun.said;
    EXPECT_NE(begun.said.find("drawn anew: decoder_pred.weight"), std::string::npos)
        << "what gives pixels of other channels: " << begun.said;
  }
}

TEST(InitialWeights, ADecoderOfOtherSizesIsDrawn) {
  const Begun begun =
      begin("hf_vit_mae", {}, [](MaeConfig& c) { c.decoder.depth = c.decoder.depth + 1; });
  EXPECT_NE(begun.said.find("its decoder has other sizes"), std::string::npos) << begun.said;
}

TEST(InitialWeights, RefusesEncodersThatNoAutoencoderHas) {
  ModelFile file = examine_model_file(kData + "hf_vit");
  file.vit.attention.assign(static_cast<std::size_t>(file.vit.size.depth),
                            {.window = 2, .relative_position = RelativePosition::none});
  EXPECT_THROW(autoencoder_of(file), Error);
  file = examine_model_file(kData + "hf_vit");
  file.vit.position_embedding = false;
  EXPECT_THROW(autoencoder_of(file), Error);
}

}  // namespace
}  // namespace sgmae
