// Oracle: the model that was saved, and files spoiled by hand.
#include "sgmae/train/checkpoint.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "sgmae/base/error.h"
#include "sgmae/io/safetensors.h"
#include "tests/support/temporary_folder.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

ModelInfo info() {
  ModelInfo info;
  info.mean = {0.5f};
  info.std = {0.25f};
  info.epoch = 3;
  info.guide = {{"guide_layer", -2}};
  info.position_mean = at::ones({4, 16});
  return info;
}

class CheckpointTest : public ::testing::Test {
 protected:
  // Saves a model, lets `spoil` change the file's content, and returns the complaint of load_mae.
  std::string complaint(const std::function<void(TensorFile&)>& spoil) {
    save_mae(path_, Mae(tiny_mae(), 1), info());
    TensorFile file = read_safetensors(path_);
    spoil(file);
    write_safetensors(path_, file.tensors, file.metadata);
    try {
      load_mae(path_);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::checkpoint);
      return error.what();
    }
    return "";
  }

  const TemporaryFolder folder_;
  const fs::path root_ = folder_.root();
  const fs::path path_ = root_ / "epoch-0003.safetensors";
};

at::Tensor& named(TensorFile& file, const std::string& name) {
  return std::find_if(file.tensors.begin(), file.tensors.end(),
                      [&](const auto& entry) { return entry.first == name; })
      ->second;
}

TEST_F(CheckpointTest, ModelComesBackBitForBit) {
  const Mae model(tiny_mae(), 1);
  save_mae(path_, model, info());
  const LoadedMae loaded = load_mae(path_);
  ASSERT_EQ(loaded.model.parameters().size(), model.parameters().size());
  for (std::size_t i = 0; i < model.parameters().size(); ++i)
    EXPECT_TRUE(at::equal(loaded.model.parameters()[i].value, model.parameters()[i].value))
        << model.parameters()[i].name;
  EXPECT_EQ(model_hash(loaded.model), model_hash(model));
  EXPECT_EQ(loaded.info.epoch, 3);
  EXPECT_EQ(loaded.info.mean, info().mean);
  EXPECT_EQ(loaded.info.guide, info().guide);
  EXPECT_TRUE(at::equal(loaded.info.position_mean, info().position_mean));
  EXPECT_EQ(to_json(loaded.model.config()), to_json(tiny_mae()));
}

TEST_F(CheckpointTest, HashTellsModelsApart) {
  Mae one(tiny_mae(), 1), other(tiny_mae(), 2);
  EXPECT_NE(model_hash(one), model_hash(other));
  EXPECT_EQ(model_hash(one).size(), 16u);
  const std::string before = model_hash(one);
  one.parameters()[2].value.view({-1})[0].add_(1e-3);
  EXPECT_NE(model_hash(one), before);
}

TEST_F(CheckpointTest, ARunFolderMeansItsNewestCheckpoint) {
  fs::create_directories(root_ / "checkpoints");
  for (const std::int64_t epoch : {2, 10}) {
    ModelInfo described = info();
    described.epoch = epoch;
    save_mae(root_ / "checkpoints" / CheckpointName{epoch, 0}.file(), Mae(tiny_mae(), 1),
             described);
  }
  EXPECT_EQ(load_mae(root_).info.epoch, 10);
  EXPECT_EQ(load_mae(root_ / "checkpoints").info.epoch, 10);
  EXPECT_EQ(load_mae(root_).path.filename(), "epoch-0010.safetensors");
}

TEST_F(CheckpointTest, NamesTheTensorThatDoesNotFit) {
  EXPECT_NE(complaint([](TensorFile& file) {
              named(file, "blocks.0.attn.qkv.weight") = at::zeros({3, 3});
            }).find("'blocks.0.attn.qkv.weight' is [3, 3], the model needs [48, 16]"),
            std::string::npos);
  EXPECT_NE(complaint([](TensorFile& file) {
              std::erase_if(file.tensors, [](auto& entry) { return entry.first == "norm.bias"; });
            }).find("'norm.bias' is missing"),
            std::string::npos);
  EXPECT_NE(complaint([](TensorFile& file) {
              file.tensors.emplace_back("blocks.0.attn.q_norm.weight", at::zeros({2}));
            }).find("'blocks.0.attn.q_norm.weight' has no place"),
            std::string::npos);
}

TEST_F(CheckpointTest, RefusesAnEncoderOnlyFileWhereTheDecoderIsNeeded) {
  const auto drop_decoder = [](TensorFile& file) {
    std::erase_if(file.tensors, [](auto& entry) {
      return entry.first == "mask_token" || entry.first.starts_with("decoder_");
    });
  };
  EXPECT_NE(complaint(drop_decoder).find("encoder only"), std::string::npos);
}

TEST_F(CheckpointTest, RefusesWhatIsNotAModel) {
  EXPECT_NE(complaint([](TensorFile& file) { file.metadata.clear(); }).find("--heads"),
            std::string::npos);
  EXPECT_NE(complaint([](TensorFile& file) { file.metadata["sgmae"] = "{"; }), "");
  EXPECT_NE(complaint([](TensorFile& file) { file.metadata["sgmae"] = R"({"config":{}})"; }), "");
  EXPECT_NE(complaint([](TensorFile& file) {
              auto meta = nlohmann::json::parse(file.metadata["sgmae"]);
              meta["config"]["patch_size"] = 7;
              file.metadata["sgmae"] = meta.dump();
            }),
            "");
  EXPECT_THROW(load_mae(root_ / "absent.safetensors"), Error);
  fs::remove(path_);
  EXPECT_THROW(load_mae(root_), Error);
}

TEST_F(CheckpointTest, WeightsOfAnotherSizeAreRefused) {
  MaeConfig wider = tiny_mae();
  wider.encoder.dim = 32;
  save_mae(path_, Mae(tiny_mae(), 1), info());
  Mae model(wider, 1);
  try {
    load_weights(path_, model);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("its dim is 16, this run's is 32"), std::string::npos);
  }
}

}  // namespace
}  // namespace sgmae
