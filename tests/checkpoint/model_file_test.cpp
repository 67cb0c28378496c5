// Oracle: files made by hand as the training programs of each family write them.
#include "sgmae/checkpoint/model_file.h"

#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/checkpoint/describe.h"
#include "sgmae/checkpoint/write_model.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/io/torch_file.h"
#include "tests/checkpoint/native.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

class ModelFileTest : public testing::Test {
 protected:
  // As facebookresearch/mae saves during training.
  void write_training_file(const NamedTensors& tensors, const json& args) {
    write_torch_file(path_, {{"model", {torch_dict(tensors)}},
                             {"optimizer", {torch_dict({{"exp_avg", at::zeros({2})}})}},
                             {"epoch", {json(799)}},
                             {"args", {args}}});
  }
  std::string complaint(const OpenOptions& options = {}) {
    try {
      read_model_file(path_, options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::checkpoint);
      return error.what();
    }
    return "";
  }
  const TemporaryFolder folder_;
  const fs::path path_ = folder_.root() / "model";
};

// Width 64, so that the published rule gives one head.
MaeConfig small() {
  MaeConfig config = tiny_mae();
  config.encoder = {64, 1, 1};
  config.decoder = {64, 1, 1};
  return config;
}

TEST_F(ModelFileTest, ReadsMaesTrainingFile) {
  write_training_file(values_of(Mae(small(), 1).parameters()),
                      {{"norm_pix_loss", true}, {"model", "mae_vit_unheard_of"}});
  const ModelFile file = read_model_file(path_);
  EXPECT_EQ(file.family, Family::mae);
  EXPECT_EQ(file.info.epoch, 800);
  EXPECT_EQ(file.norm_pix_loss, true);
  EXPECT_TRUE(file.mae->norm_pix_loss);
  EXPECT_EQ(file.assumptions.size(), 4u);  // heads of both parts, square grid, normalisation
  const ModelDescription description = describe(file);
  EXPECT_TRUE(description.optimizer);
  EXPECT_EQ(description.kind, "a pre-trained autoencoder, encoder and decoder");
  EXPECT_NE(to_text(description, file).find("800 finished"), std::string::npos);
  EXPECT_EQ(to_json(description, file).at("epoch"), 800);
}

TEST_F(ModelFileTest, AmtIsKnownByItsArguments) {
  write_training_file(values_of(Mae(small(), 1).parameters()), {{"throw_ratio", 0.4}});
  EXPECT_EQ(read_model_file(path_).family, Family::amt);
}

TEST_F(ModelFileTest, HpmIsKnownByItsLossPredictor) {
  NamedTensors tensors = values_of(Mae(small(), 1).parameters());
  tensors.emplace_back("decoder_blocks_losspred.0.norm1.weight", at::zeros({64}));
  write_training_file(tensors, {});
  EXPECT_EQ(read_model_file(path_).family, Family::hpm);
}

TEST_F(ModelFileTest, TellsWhichPartsThereAre) {
  VitConfig config = encoder_config(small());
  config.classes = 7;
  for (const auto& [pooling, probe, kind] :
       {std::tuple{Pooling::mean, false,
                   "a classifier of 7 classes on the mean of the patches (global pool)"},
        std::tuple{Pooling::cls, false, "a classifier of 7 classes on the class token"},
        std::tuple{Pooling::cls, true, "an encoder with a linear probe for 7 classes"}}) {
    config.pooling = pooling;
    config.batch_norm_head = probe;
    NamedTensors tensors = values_of(Vit(config, 1).parameters());
    if (probe) tensors.emplace_back("head.0.num_batches_tracked", at::zeros({}, at::kLong));
    write_training_file(tensors, {});
    const ModelFile file = read_model_file(path_);
    EXPECT_EQ(describe(file).kind, kind);
    EXPECT_EQ(describe(file).head_parameters,
              7 * 64 + 7 + (pooling == Pooling::mean ? 128 : 0) + (probe ? 128 : 0));
    EXPECT_EQ(file.family, Family::mae);
  }
}

// The header alone says of such a model what it is; its tables must be of the size it says.
TEST_F(ModelFileTest, TablesOfAnotherSizeThanTheHeaderSaysAreRefused) {
  VitConfig config = encoder_config(small());
  config.size.depth = 2;
  config.class_token = false;
  config.attention.assign(2, {2, RelativePosition::decomposed});
  ModelInfo info;
  info.mean = info.std = std::vector<float>(static_cast<std::size_t>(config.channels), 0.5f);
  NamedTensors tensors = values_of(Vit(config, 1).parameters());
  save_tensors(path_, tensors, to_json(config), info);
  EXPECT_EQ(read_model_file(path_).vit.attention, config.attention);
  EXPECT_NE(describe(read_model_file(path_)).architecture.find("relative positions"),
            std::string::npos);
  config.attention[0].window = 1 << 20;
  save_tensors(path_, tensors, to_json(config), info);
  EXPECT_NE(complaint().find("'blocks.0.attn.rel_pos_h' has 3 rows"), std::string::npos)
      << complaint();
  config.attention.pop_back();
  save_tensors(path_, tensors, to_json(config), info);
  EXPECT_NE(complaint().find("set it for all of them"), std::string::npos) << complaint();
}

TEST_F(ModelFileTest, HeadsThatNoRuleGivesMustBeGiven) {
  write_training_file(values_of(Mae(tiny_mae(), 1).parameters()), {});
  EXPECT_NE(complaint().find("give --heads"), std::string::npos);
  EXPECT_NE(complaint({.heads = 2}).find("give --decoder_heads"), std::string::npos);
  EXPECT_NE(complaint({.heads = 3}).find("do not divide its width 16"), std::string::npos);
  EXPECT_EQ(read_model_file(path_, {.heads = 2, .decoder_heads = 2}).mae->encoder.heads, 2);
}

TEST_F(ModelFileTest, ConfigJsonDecidesEpsilonAndSizes) {
  const std::string folder = SGMAE_TEST_DATA "/checkpoint/hf_vit";
  const ModelFile file = read_model_file(folder);
  EXPECT_EQ(file.vit.layer_norm_eps, 1e-12);
  EXPECT_EQ(file.vit.height, 8);
  EXPECT_EQ(file.vit.width, 16);
  EXPECT_EQ(file.vit.size.heads, 2);
  EXPECT_EQ(read_model_file(SGMAE_TEST_DATA "/checkpoint/hf_vit_mae").vit.layer_norm_eps, 1e-3);
}

TEST_F(ModelFileTest, NotFiniteValuesAreReported) {
  NamedTensors tensors = values_of(Mae(small(), 1).parameters());
  tensors[0].second = tensors[0].second.div(0.0);
  write_training_file(tensors, {});
  EXPECT_EQ(describe(read_model_file(path_)).not_finite, std::vector<std::string>{"cls_token"});
}

TEST_F(ModelFileTest, RefusesWhatIsNoModel) {
  EXPECT_NE(complaint().find("no such file"), std::string::npos);
  write_file(path_, "<html>");
  EXPECT_NE(complaint(), "");
  write_safetensors(path_, {{"fc.weight", at::zeros({2, 2})}});
  EXPECT_NE(complaint().find("'fc.weight'"), std::string::npos);

  NamedTensors tensors = values_of(Mae(small(), 1).parameters());
  for (auto& [name, tensor] : tensors)
    if (name == "pos_embed") tensor = at::zeros({1, 7, 64});  // neither six nor seven is a square
  write_training_file(tensors, {});
  EXPECT_NE(complaint().find("6 patch positions, which is not a square number"), std::string::npos);
  EXPECT_NE(complaint().find("--grid"), std::string::npos);
}

// The same table under each claim about its grid.
TEST_F(ModelFileTest, TheGridIsToldOrStatedOrASquare) {
  VitConfig config = encoder_config(small());
  config.height = 2 * config.patch_size;
  config.width = 8 * config.patch_size;  // 16 patches, which a square would hold too
  const NamedTensors tensors = values_of(Vit(config, 1).parameters());
  write_training_file(tensors, {});
  EXPECT_EQ(read_model_file(path_).vit.height, 4 * config.patch_size);
  EXPECT_NE(read_model_file(path_).assumptions[1].find("a square grid of 4x4"), std::string::npos);
  const ModelFile stated = read_model_file(path_, {.grid = "2,8"});
  EXPECT_EQ(stated.vit.height, config.height);
  EXPECT_EQ(stated.vit.width, config.width);
  EXPECT_EQ(stated.assumptions.size(), 2u);
  EXPECT_NE(complaint({.grid = "2,7"}).find("not 2x7"), std::string::npos);
  for (const char* wrong : {"2", "2,8,1", "a,b", "0,8", "2,"}) try {
      read_model_file(path_, {.grid = wrong});
      ADD_FAILURE() << wrong;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage) << error.what();
    }
  // A training's arguments count where they fit.
  write_training_file(tensors, {{"input_size", {3, config.height, config.width}}});
  EXPECT_EQ(read_model_file(path_).vit.width, config.width);
  write_training_file(tensors, {{"input_size", 5 * config.patch_size}});
  EXPECT_EQ(read_model_file(path_).vit.width, 4 * config.patch_size);
  // timm's tables without a row for the class token.
  NamedTensors without = tensors;
  for (auto& [name, tensor] : without)
    if (name == "pos_embed") tensor = tensor.narrow(1, 1, 16).contiguous();
  write_training_file(without, {});
  const ModelFile file = read_model_file(path_, {.grid = "2,8"});
  EXPECT_EQ(file.find("pos_embed")->sizes(), (at::IntArrayRef{1, 17, 64}));
  EXPECT_EQ(file.find("pos_embed")->select(1, 0).abs().max().item<float>(), 0.0f);
}

TEST_F(ModelFileTest, HeadsFollowTheNameThatTheFileGives) {
  MaeConfig config = small();
  config.encoder = {384, 1, 6};
  const NamedTensors tensors = values_of(Vit(encoder_config(config), 1).parameters());
  NamedTensors moco;
  for (const auto& [name, tensor] : tensors)
    moco.emplace_back("module.base_encoder." + name, tensor);
  write_torch_file(
      path_,
      {{"state_dict", {torch_dict(moco)}}, {"epoch", {json(300)}}, {"arch", {json("vit_small")}}});
  const ModelFile file = read_model_file(path_);
  EXPECT_EQ(file.family, Family::moco_v3);
  EXPECT_EQ(file.vit.size.heads, 12);
  EXPECT_EQ(file.info.epoch, 300);
  EXPECT_EQ(file.assumptions.size(), 2u) << "the heads are told";
  write_torch_file(path_, {{"state_dict", {torch_dict(moco)}}});
  EXPECT_EQ(read_model_file(path_).vit.size.heads, 12);
  EXPECT_EQ(read_model_file(path_).assumptions.size(), 3u);
  EXPECT_EQ(read_model_file(path_, {.heads = 4}).vit.size.heads, 4);
  write_training_file(tensors, {{"arch", "vit_small"}});  // DINO
  EXPECT_EQ(read_model_file(path_).vit.size.heads, 6);
  write_training_file(tensors, {{"arch", "vit_base"}});  // of another width: says nothing
  EXPECT_EQ(read_model_file(path_).assumptions.size(), 3u);
}

TEST_F(ModelFileTest, WhatAFileSaysIsNotContradicted) {
  ModelInfo info;
  info.mean = info.std = std::vector<float>(static_cast<std::size_t>(small().channels), 0.5f);
  const Mae mae(small(), 1);
  save_mae(path_, mae, info);
  EXPECT_TRUE(read_model_file(path_).assumptions.empty());
  EXPECT_NE(complaint({.heads = 2}).find("leave out --heads 2"), std::string::npos);
  EXPECT_NE(complaint({.grid = "1,4"}).find("leave out --grid"), std::string::npos);
  EXPECT_NE(complaint({.layer_norm_eps = 1e-3}).find("leave out --layer_norm_eps 0.001"),
            std::string::npos);
}

TEST_F(ModelFileTest, PixelsAreNormalisedAsStatedOrSaid) {
  const fs::path folder = folder_.root() / "hf";
  write_model(folder, file_of(Vit(encoder_config(small()), 1)), Family::hf_vit);
  const auto with = [&](const json& processor, const OpenOptions& options = {}) {
    write_file(folder / "preprocessor_config.json", processor.dump());
    return read_model_file(folder, options).info;
  };
  const auto near = [](const std::vector<float>& found, double expected) {
    EXPECT_EQ(found.size(), 1u);
    EXPECT_NEAR(found[0], expected, 1e-6);
  };
  ModelInfo info = with({{"image_mean", 0.5}, {"image_std", 0.25}});
  near(info.mean, 0.5), near(info.std, 0.25);
  info = with({{"image_mean", {0.5}}, {"image_std", {0.25}}, {"rescale_factor", 1 / 127.5}});
  near(info.mean, 0.25), near(info.std, 0.125);  // (2 x - 0.5) / 0.25
  info = with({{"image_mean", {0.4}}, {"image_std", {0.3}}, {"do_normalize", false}});
  near(info.mean, 0), near(info.std, 1);
  info = with({{"image_mean", 0.5}, {"image_std", 0.25}}, {.pixel_mean = "0.1", .pixel_std = "2"});
  near(info.mean, 0.1), near(info.std, 2);
  EXPECT_THROW(with({{"image_mean", {0.5, 0.5}}, {"image_std", {1, 1}}}), Error);  // one channel
  EXPECT_THROW(with({{"image_mean", {0.5}}, {"image_std", {0}}}), Error);
  EXPECT_THROW(with({}, {.pixel_mean = "0.1"}), Error);
}

TEST_F(ModelFileTest, AConfigurationOfAnotherModelIsRefused) {
  const fs::path folder = folder_.root() / "hf";
  write_model(folder, file_of(Vit(encoder_config(small()), 1)), Family::hf_vit);
  const json config = json::parse(read_text(folder / "config.json"));
  for (const auto& [key, value] : {std::pair<const char*, json>{"num_hidden_layers", 12},
                                   {"hidden_size", 128},
                                   {"num_channels", 3},
                                   {"patch_size", 16},
                                   {"intermediate_size", 1},
                                   {"hidden_act", "relu"}}) {
    json changed = config;
    changed[key] = value;
    write_file(folder / "config.json", changed.dump());
    try {
      read_model_file(folder);
      ADD_FAILURE() << key;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(key), std::string::npos) << error.what();
    }
  }
}

// The closed form of a model without these biases is the same model with zero ones.
TEST_F(ModelFileTest, AModelMayLackTheBiasOfQueryKeyAndValue) {
  VitConfig config = encoder_config(small());
  config.size.depth = 2;
  NamedTensors tensors = values_of(Vit(config, 1).parameters());
  const auto lack = [](const std::string& part, NamedTensors from) {
    std::erase_if(from, [&](const auto& t) { return t.first.find(part) != std::string::npos; });
    return from;
  };
  write_training_file(lack("qkv.bias", tensors), {});
  const ModelFile file = read_model_file(path_);
  EXPECT_EQ(file.tensors.size(), tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i)  // in their places
    EXPECT_EQ(file.tensors[i].first, tensors[i].first);
  EXPECT_TRUE(file.find("blocks.1.attn.qkv.bias")->equal(at::zeros({3 * 64})));
  write_training_file(lack("blocks.1.attn.qkv.bias", tensors), {});
  EXPECT_NE(complaint().find("'blocks.1.attn.qkv.bias' is missing, and other blocks have one"),
            std::string::npos);
  EXPECT_EQ(complaint().find("whole model"), std::string::npos);
}

TEST_F(ModelFileTest, AGatedMlpIsNamed) {
  NamedTensors tensors = values_of(Vit(encoder_config(small()), 1).parameters());
  for (auto& [name, tensor] : tensors)
    if (name == "blocks.0.mlp.fc2.weight") tensor = tensor.narrow(1, 0, 128).contiguous();
  write_training_file(tensors, {});
  EXPECT_NE(complaint().find("SwiGLU"), std::string::npos);
}

TEST_F(ModelFileTest, EncoderAndDecoderMayHaveMlpsOfTheirOwn) {
  MaeConfig config = small();
  config.encoder_mlp_hidden = 96;
  config.decoder_mlp_hidden = 128;
  write_training_file(values_of(Mae(config, 1).parameters()), {});
  const MaeConfig found = *read_model_file(path_).mae;
  EXPECT_EQ(found.encoder_mlp(), 96);
  EXPECT_EQ(found.decoder_mlp(), 128);
  write_training_file(values_of(Mae(small(), 1).parameters()), {});
  EXPECT_EQ(read_model_file(path_).mae->encoder_mlp_hidden, 0);
}

// transformers makes a ViTMAE so from a configuration alone.
TEST_F(ModelFileTest, PositionTablesOfZerosAreRemarkedOn) {
  NamedTensors tensors = values_of(Mae(small(), 1).parameters());
  EXPECT_TRUE((write_training_file(tensors, {}), read_model_file(path_).remarks.empty()));
  for (auto& [name, tensor] : tensors)
    if (name == "decoder_pos_embed") tensor = at::zeros_like(tensor);
  write_training_file(tensors, {});
  const ModelFile file = read_model_file(path_);
  ASSERT_EQ(file.remarks.size(), 1u);
  EXPECT_NE(file.remarks[0].find("'decoder_pos_embed' is all zeros"), std::string::npos);
}

// Beside weights that are read, objects are named; where the model is one, that is said.
TEST_F(ModelFileTest, ObjectsInAFileAreNamed) {
  try {
    read_model_file(SGMAE_TEST_DATA "/io/training.pth");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("it also holds Python objects ("), std::string::npos);
  }
}

}  // namespace
}  // namespace sgmae
