// Oracle: the model that was written.
#include "sgmae/checkpoint/write_model.h"

#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <map>

#include "sgmae/base/error.h"
#include "sgmae/checkpoint/open_model.h"
#include "tests/checkpoint/native.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

VitConfig vit_config(const std::string& kind) {
  VitConfig config = encoder_config(tiny_mae());
  config.height = 24;  // not square
  config.size.depth = 2;
  if (kind == "cls" || kind == "pool" || kind == "probe") config.classes = 3;
  if (kind == "pool") config.pooling = Pooling::mean;
  if (kind == "probe") config.batch_norm_head = true;
  if (kind == "windows") {
    config.class_token = config.position_embedding = config.final_norm = false;
    config.attention = {{2, RelativePosition::decomposed}, {0, RelativePosition::bias}};
  }
  if (kind == "dino") config.layer_scale = true;
  if (kind == "registers") config.layer_scale = true, config.registers = 2;
  return config;
}

ModelFile model_of(const std::string& kind) {
  if (kind == "mae") {
    MaeConfig config = tiny_mae();
    config.norm_pix_loss = true;
    config.layer_norm_eps = 1e-5;
    return file_of(Mae(config, 3));
  }
  return file_of(Vit(vit_config(kind), 3));
}

class WriteModel : public testing::Test {
 protected:
  const TemporaryFolder folder_;
  const fs::path root_ = folder_.root();
};

// Which families can hold which kind of model.
const std::map<std::string, std::vector<Family>> kMeaningful{
    {"mae", {Family::sgmae, Family::mae, Family::hf_vit_mae, Family::mmpretrain}},
    {"encoder", {Family::sgmae, Family::mae, Family::timm, Family::hf_vit, Family::mmpretrain}},
    {"cls", {Family::sgmae, Family::mae, Family::timm, Family::hf_vit, Family::mmpretrain}},
    {"pool", {Family::sgmae, Family::mae, Family::timm, Family::mmpretrain}},
    {"probe", {Family::sgmae, Family::mae}},
    {"dino", {Family::sgmae, Family::timm, Family::hf_dinov2}},
    {"registers", {Family::sgmae, Family::timm, Family::hf_dinov2}},
    {"windows", {Family::sgmae}}};

// Every meaningful source, target and way back: tensors bit for bit, and the same configuration.
TEST_F(WriteModel, EveryMeaningfulPairComesBackBitForBit) {
  int pairs = 0;
  for (const auto& [kind, families] : kMeaningful) {
    const ModelFile model = model_of(kind);
    for (const Family source : families)
      for (const Family target : families) {
        const std::string what = str(kind, " ", name_of(source), " -> ", name_of(target));
        const fs::path first = root_ / str(kind, "-", name_of(source)), second = root_ / "second",
                       third = root_ / "third";
        for (const fs::path& path : {second, third}) fs::remove_all(path);
        if (!fs::exists(first)) write_model(first, model, source);
        write_model(second, read_model_file(first), target);
        write_model(third, read_model_file(second), source);
        const ModelFile back = read_model_file(third);
        ASSERT_EQ(back.tensors.size(), model.tensors.size()) << what;
        for (const auto& [name, tensor] : model.tensors) {
          const at::Tensor* found = back.find(name);
          ASSERT_TRUE(found) << what << " " << name;
          EXPECT_TRUE(found->equal(tensor)) << what << " " << name;
        }
        EXPECT_EQ(to_json(back.vit), to_json(model.vit)) << what;
        if (model.mae) {
          EXPECT_EQ(to_json(*back.mae), to_json(*model.mae)) << what;
        }
        EXPECT_EQ(back.info.mean, model.info.mean) << what;
        EXPECT_EQ(back.family, source) << what;
        ++pairs;
      }
  }
  EXPECT_EQ(pairs, 16 + 25 + 25 + 16 + 4 + 9 + 9 + 1);
}

TEST_F(WriteModel, ClassScoresSurviveAChangeOfFamily) {
  const ModelFile model = model_of("pool");
  const at::Tensor pixels = at::randn({2, 1, 24, 16});
  write_model(root_ / "timm", model, Family::timm);
  const OpenedModel opened = open_model(root_ / "timm");
  EXPECT_TRUE(opened.vit()->logits(pixels).equal(make_vit(model).logits(pixels)));
}

TEST_F(WriteModel, TransformersViTMaeIsSquare) {
  MaeConfig config = tiny_mae();
  config.height = 24;
  try {
    write_model(root_ / "refused", file_of(Mae(config, 3)), Family::hf_vit_mae);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    EXPECT_NE(std::string(error.what()).find("24x16"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(fs::exists(root_ / "refused"));
}

TEST_F(WriteModel, MlpsOfTheirOwnComeBack) {
  MaeConfig config = tiny_mae();
  config.encoder_mlp_hidden = 40;
  config.decoder_mlp_hidden = 24;
  const ModelFile model = file_of(Mae(config, 3));
  for (const Family family : kMeaningful.at("mae")) {
    write_model(root_ / name_of(family), model, family);
    const ModelFile back = read_model_file(root_ / name_of(family));
    EXPECT_EQ(to_json(*back.mae), to_json(*model.mae)) << name_of(family);
  }
}

TEST_F(WriteModel, TimmGetsNoDecoder) {
  write_model(root_ / "timm", model_of("mae"), Family::timm);
  const ModelFile file = read_model_file(root_ / "timm");
  EXPECT_EQ(file.find("mask_token"), nullptr);
  EXPECT_EQ(file.find("decoder_pos_embed"), nullptr);
  EXPECT_FALSE(file.mae.has_value());
}

TEST_F(WriteModel, RefusesWhatAFamilyCannotHold) {
  for (const auto& [kind, families] : kMeaningful) {
    const ModelFile model = model_of(kind);
    for (const Family family : {Family::mae, Family::timm, Family::hf_vit_mae, Family::hf_vit,
                                Family::hf_dinov2, Family::mmpretrain, Family::moco_v3}) {
      const bool drops_decoder =
          kind == "mae" && (family == Family::timm || family == Family::hf_vit);
      const bool probe_in_timm = kind == "probe" && family == Family::timm;
      if (drops_decoder || probe_in_timm ||
          std::find(families.begin(), families.end(), family) != families.end())
        continue;
      try {
        write_model(root_ / "refused", model, family);
        ADD_FAILURE() << kind << " as " << name_of(family);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::usage) << error.what();
      }
      EXPECT_FALSE(fs::exists(root_ / "refused")) << "something half-written";
    }
  }
}

}  // namespace
}  // namespace sgmae
