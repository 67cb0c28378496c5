// Oracle: files made by hand as the training programs of each family write them.
#include "sgmae/checkpoint/model_file.h"

#include <ATen/ops/zeros.h>
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
  MaeConfig config = tiny();
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
  EXPECT_EQ(file.assumptions.size(), 3u);  // heads of both parts, normalisation
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
  write_training_file(values_of(Mae(tiny(), 1).parameters()), {});
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
    if (name == "pos_embed") tensor = at::zeros({1, 6, 64});  // five patches are no square
  write_training_file(tensors, {});
  EXPECT_NE(complaint().find("5 patch positions"), std::string::npos);
}

}  // namespace
}  // namespace sgmae
