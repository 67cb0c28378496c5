// Every command on images of five 16-bit channels: what is learned, measured and shown is of their
// values, normalised in one way from pre-training to the last evaluation.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "sgmae/checkpoint/model_file.h"
#include "sgmae/data/normalisation_file.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/train/checkpoint.h"
#include "tests/data/arrays.h"
#include "tests/support/program.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kChannels = 5;

void save(const fs::path& path, int channels, bool stored) {
  MaeConfig config = tiny_mae();
  config.channels = channels;
  ModelInfo info;
  info.use(default_normalisation(channels));
  if (stored) info.stored.emplace();
  save_mae(path, Mae(config, 1), info);
}

class Channels : public testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);
    for (int i = 0; i < 12; ++i)
      folder_.write(str(i < 8 ? "data/train/" : "data/test/", i % 2 == 0 ? "dark/" : "bright/",
                        100 + i, ".npy"),
                    array_file(i % 2 == 0 ? i : 60 + i, kChannels, 20, 18));
  }

  Outcome run(const std::string& arguments) const {
    return run_program_in(folder_.root(), arguments + " --json");
  }
  json succeed(const std::string& arguments) const {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 0) << arguments << "\n" << outcome.err;
    return outcome.code == 0 ? json::parse(outcome.out) : json();
  }
  void expect(int code, const std::string& message, const std::string& arguments) const {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, code) << arguments << "\n" << outcome.err;
    EXPECT_NE(outcome.err.find(message), std::string::npos) << arguments << "\n" << outcome.err;
  }

  static constexpr const char* kTiny =
      "pretrain --data_path data --input_size 16 --patch_size 4 --dim 32 --depth 2 --heads 2 "
      "--decoder_dim 16 --decoder_depth 1 --decoder_heads 2 --batch_size 4 --epochs 2 "
      "--warmup_epochs 1 --lr 1e-3 --norm_pix_loss --num_workers 1 --threads 1 --probe_images 4 "
      "--mask_strategy self_guided --guide_start 1 --output_dir ";

  const Folder folder_;
};

TEST_F(Channels, FromStatisticsToEveryEvaluation) {
  const json stats = succeed("data stats data --save n.json --nodata 300 --picture_bands 3,2,1");
  EXPECT_EQ(stats["channels"]["5"], 8);
  EXPECT_EQ(stats["mean"].size(), 5u);
  EXPECT_GT(stats["lowest"][4].get<double>(), 3999);
  const Normalisation saved = read_normalisation(folder_.path("n.json"));
  ASSERT_EQ(saved.mean.size(), 5u);
  ASSERT_TRUE(saved.stored);
  EXPECT_EQ(saved.stored->nodata, 300);

  succeed(str(kTiny, "run --normalisation n.json"));
  const ModelFile model = read_model_file(folder_.path("run"));
  EXPECT_EQ(model.vit.channels, kChannels);
  EXPECT_EQ(model.info.mean, saved.mean);
  EXPECT_EQ(model.info.std, saved.std);
  EXPECT_EQ(model.info.stored, saved.stored);
  EXPECT_TRUE(fs::exists(folder_.root() / "run/figures/masks_after_epoch_0002.png"));
  succeed(str(kTiny, "run --normalisation n.json"));  // it is finished, and goes on

  const std::string of = " --checkpoint run --threads 1 --num_workers 1 --data_path data";
  EXPECT_EQ(succeed("knn --k 3" + of)["test_images"], 4);
  EXPECT_EQ(succeed("linprobe --cached_features --output_dir probe" + of)["test_images"], 4);
  succeed("linprobe --output_dir probe2 --batch_size 4 --epochs 1 --warmup_epochs 0" + of);
  const json tuned = succeed(
      "finetune --aa none --output_dir tuned --batch_size 4 --epochs 1 --warmup_epochs 0" + of);
  EXPECT_EQ(read_model_file(folder_.path("tuned/checkpoint-last.safetensors")).info.stored,
            saved.stored);
  EXPECT_EQ(
      succeed(
          "finetune --eval --output_dir tested --checkpoint "
          "tuned/checkpoint-last.safetensors --threads 1 --num_workers 1 --data_path data")["acc1"],
      tuned["acc1"]);
  succeed("analyze --images 4 --metrics variance,clusters --output_dir analysis" + of);
  succeed("extract --fit squash --output all.safetensors" + of);
  const std::string file = "data/train/dark/100.npy";
  succeed("extract " + file + " --output one.safetensors --checkpoint run --threads 1");
  const auto features = [&](const char* name) {
    return read_safetensors(folder_.path(name)).find("features")->clone();
  };
  // Folders are sorted: the bright ones are first.
  EXPECT_TRUE(features("one.safetensors")[0].allclose(features("all.safetensors")[4], 1e-5, 1e-6));
  succeed("mask " + file + " --output masks --checkpoint run --threads 1");
  EXPECT_TRUE(fs::exists(folder_.root() / "masks/masks.png"));
  succeed("reconstruct " + file + " --output r.png --checkpoint run");
  const json inspected = succeed("inspect run");
  EXPECT_EQ(inspected["stored_values"]["nodata"], 300);
  EXPECT_EQ(
      succeed(str("estimate --data_path data --input_size 16 --patch_size 4 --dim 32 --depth 2 "
                  "--heads 2 --batch_size 4 --no_measure"))
          .is_null(),
      false);

  EXPECT_EQ(succeed("data pack data train.sgpack --verify")["verified"], 8);
  expect(2, "values as stored are not", "data pack data small.sgpack --max_side 8");
  EXPECT_EQ(succeed("data verify data")["images"], 8);
}

TEST_F(Channels, NoDataByTheTagOfGdal) {
  const std::string image = read_text(std::string(SGMAE_TEST_DATA) + "/bands/i16_3_nodata.tif");
  folder_.write("tiles/1.tif", image);
  const Outcome said = run("data stats tiles");
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_NE(said.err.find("no data is what GDAL's tag in each image says (-29987)"),
            std::string::npos)
      << said.err;
  const json mean = json::parse(said.out)["mean"];
  EXPECT_EQ(mean, succeed("data stats tiles --nodata -29987")["mean"]);
  EXPECT_NE(mean, succeed("data stats tiles --nodata 30001")["mean"]);
  EXPECT_EQ(run("data stats tiles --nodata 30001").err.find("GDAL"), std::string::npos);
}

// Without a file of normalisation it is measured, the same each time, and said.
TEST_F(Channels, MeasuredWhereNothingIsSaid) {
  succeed("data stats data --save n.json");
  const Outcome outcome = run(str(kTiny, "run"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("measured on 8 of 8 images"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("5 channels that are not 8-bit"), std::string::npos) << outcome.err;
  EXPECT_EQ(read_model_file(folder_.path("run")).info.mean,
            read_normalisation(folder_.path("n.json")).mean);
  // From scratch, too.
  succeed(
      "finetune --aa none --output_dir tuned --batch_size 4 --epochs 1 --warmup_epochs 0 "
      "--input_size 16 --patch_size 4 --dim 32 --depth 1 --heads 2 --threads 1 --num_workers 1 "
      "--data_path data");
  EXPECT_EQ(read_model_file(folder_.path("tuned/checkpoint-last.safetensors")).info.mean,
            read_normalisation(folder_.path("n.json")).mean);
}

// Weights of three channels begin a model of five, by the rule of initial_weights.h.
TEST_F(Channels, BegunFromAModelOfPhotos) {
  save(folder_.path("photos.safetensors"), 3, false);
  const Outcome outcome =
      run("pretrain --data_path data --init photos.safetensors --output_dir run --batch_size 4 "
          "--epochs 1 --warmup_epochs 0 --lr 1e-3 --num_workers 1 --threads 1 --probe_images 0 "
          "--mask_strategy random");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("projection of 3 channels is spread over 5"), std::string::npos)
      << outcome.err;
  EXPECT_EQ(read_model_file(folder_.path("run")).vit.channels, kChannels);
}

TEST_F(Channels, WhatCannotBeIsRefusedWithASentence) {
  save(folder_.path("photos.safetensors"), 3, false);
  const std::string photos = " --checkpoint photos.safetensors --threads 1 --data_path data";
  expect(2, "the model takes 8-bit grey or colour", "knn --k 1" + photos);
  expect(2, "the model takes 8-bit grey or colour", "extract --output f.npy" + photos);
  expect(2, "--method mae",
         str(kTiny,
             "run --method moco_v3 --mask_strategy random "
             "--decoder_dim 0 --decoder_depth 0 --decoder_heads 0 "
             "--no_norm_pix_loss"));
  const std::string scratch =
      "finetune --output_dir tuned --batch_size 4 --input_size 16 --patch_size 4 --dim 32 --depth "
      "1 "
      "--heads 2 --threads 1 --data_path data";
  expect(2, "--aa none", scratch);
  EXPECT_FALSE(fs::exists(folder_.root() / "tuned"));
  expect(3, "none.json", str(kTiny, "run --normalisation none.json"));
  folder_.write("n.json", R"({"values": "stored", "mean": [1], "std": [1]})");
  expect(3, "n.json has 1 channels, and the images have 5",
         str(kTiny, "run --normalisation n.json"));
  folder_.write("n.json", R"({"values": "8bit", "mean": [0.5], "std": [1]})");
  expect(3, "n.json is of 8-bit pixels", str(kTiny, "run --normalisation n.json"));
  EXPECT_FALSE(fs::exists(folder_.root() / "run"));
  // A model of such values, and photos: each is of another number of channels.
  save(folder_.path("five.safetensors"), 5, true);
  folder_.image("photos/1.png");
  expect(2, "of 5 channels, and these have 3",
         "extract --output f.npy --checkpoint five.safetensors --threads 1 --data_path photos");
}

}  // namespace
}  // namespace sgmae
