// sgmae estimate as a user runs it. Oracle: the run that the same options start, and closed forms;
// the formulas are tests/train/estimate_test.cpp's.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/eval/striped_data.h"
#include "tests/support/program.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

const std::string small =
    "--model vit_tiny --input_size 28 --patch_size 7 --dim 16 --depth 2 --heads 2 "
    "--decoder_dim 8 --decoder_depth 1 --decoder_heads 2 --batch_size 4 --threads 1 ";

class Estimate : public testing::Test {
 protected:
  void SetUp() override { at::set_num_threads(1); }  // run_program_in
  Outcome run(const std::string& arguments) const {
    return run_program_in(folder_.root(), "estimate " + arguments);
  }
  nlohmann::json json(const std::string& arguments) const {
    const Outcome outcome = run(arguments + " --json");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out);
  }
  void refused(const std::string& said, const std::string& arguments) const {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    EXPECT_NE(outcome.err.find(said), std::string::npos) << outcome.err;
  }
  const TemporaryFolder folder_;
};

TEST_F(Estimate, TakesARecipeAndFlags) {
  const auto found = json(
      "--config sgmae_vit_base_in1k --accum_iter 1 --processes 64 --images 1281167 "
      "--images_per_second 500 --precision bf16");
  EXPECT_EQ(found["parameters"], 111907840);
  EXPECT_EQ(found["hosts"], 8);
  EXPECT_EQ(found["images_per_step"], 4096);
  EXPECT_EQ(found["guide_passes"], 1);
  EXPECT_EQ(found["times"].size(), 3);
  EXPECT_EQ(found["times"][0]["gbit_per_s"], 25);
  // 400 epochs of 312 steps, each of 64 images at 500 a second, are the least it takes.
  const double hours = found["times"][2]["hours"];
  EXPECT_GT(hours, 400 * 312 * 0.128 / 3600);
  EXPECT_LT(hours, 400 * 312 * 0.128 / 3600 * 1.15);
}

TEST_F(Estimate, MeasuresStepsHereAndCountsImagesAtAPath) {
  std::filesystem::create_directories(folder_.root() / "data");
  striped::write_part(folder_.root() / "data", "train", 12, true);
  const auto found = json(small + "--data_path data --epochs 2 --warmup_epochs 0");
  const std::int64_t images = found["images"];
  EXPECT_EQ(found["steps_per_epoch"], images / 4);
  EXPECT_GT(found["seconds_per_image"], 0);
  EXPECT_GT(found["times"][0]["hours"], 0);
}

TEST_F(Estimate, PlansForAGpuThatIsNotHere) {
  const auto found = json(small + "--device cuda --images 100 --images_per_second 500");
  EXPECT_EQ(found["precision"], "bf16");
  EXPECT_EQ(found["memory"]["weight_copies"], 2.0 * found["trained_parameters"].get<double>());
  EXPECT_EQ(found["memory"]["packing"], 0);
  refused("device", small + "--device tpu --images 100");
}

// ViT-B's 86.57 M with a head of 1000 classes; MoCo v3 has projector, predictor and a key network.
TEST_F(Estimate, OfFineTuningAndMoCo) {
  const auto classifier = json("--config finetune_vit_base_in1k --images 1281167");
  EXPECT_EQ(classifier["parameters"], 86567656);
  EXPECT_EQ(classifier["parts"]["head"], 768 * 2 + 769 * 1000);
  EXPECT_EQ(classifier["steps_per_epoch"], 1281167 / 1024);
  const auto moco = json("--config moco_v3_vit_base_in1k --images 1281167");
  const std::int64_t norms = 4 * 4096;  // weights and biases of two in the projector
  EXPECT_EQ(moco["parts"]["projector"], 768 * 4096 + 4096 * 4096 + 4096 * 256 + norms);
  EXPECT_GT(moco["encoder_flop_per_image"], 2 * classifier["encoder_flop_per_image"].get<double>());
  refused("fewer than a step", "--config moco_v3_vit_base_in1k --images 10");
}

// Li et al. 2022 have 111 M in all, with a table of 14 x 14 positions; that of the canvas, 64 x 64,
// has 3 M more.
TEST_F(Estimate, OfARecipeOfDetectionIsOfADetector) {
  const auto found =
      json("--config detect_vit_base_coco_90k --images 118287 --processes 8 --precision bf16");
  EXPECT_EQ(found["images_per_step"], 2 * 8 * 8);
  EXPECT_EQ(found["steps_per_epoch"], 118287 / 128);
  EXPECT_NEAR(found["parameters"].get<double>(), 114e6, 1e6);
  EXPECT_EQ(found["parts"].size(), 5);
  EXPECT_GT(found["memory"]["sum"].get<double>(), 16.0 * found["parameters"].get<double>());
  const auto few = json("--config=detect_vit_base_coco_90k --images 200 --classes 3 --no_mask");
  EXPECT_EQ(few["parts"].size(), 4);
  EXPECT_LT(few["parameters"], found["parameters"]);
  refused("images is missing", "--config detect_small");
  refused("fewer than a step of 4", "--config detect_small --images 3");
  refused("classes must be in", "--config detect_small --images 3 --classes -1");
}

TEST_F(Estimate, OfARecipeOfSegmentationIsOfASegmentationModel) {
  const auto found = json("--config segment_vit_base_ade20k --images 20210");
  EXPECT_EQ(found["images_per_step"], 16);
  // mmsegmentation: 164 M with both heads.
  EXPECT_NEAR(found["parameters"].get<double>(), 164e6, 2e6);
  EXPECT_GT(found["head_flop_per_image"], found["encoder_flop_per_image"]);
  refused("knn trains nothing", "--config segment_small --images 100 --head knn");
}

TEST_F(Estimate, SaysWhatIsNotMeasuredAndWhatDoesNotFit) {
  const Outcome alone = run(small + "--images 100 --no_measure");
  EXPECT_EQ(alone.code, 0);
  EXPECT_NE(alone.err.find("not measured"), std::string::npos) << alone.err;
  const Outcome large =
      run("--model mae_vit_huge_patch14 --batch_size 100000 --images 1000000 --no_measure");
  EXPECT_EQ(large.code, 0);
  EXPECT_NE(large.err.find("the run does not fit it"), std::string::npos) << large.err;
}

TEST_F(Estimate, RefusesWhatNoRunCouldBe) {
  refused("images is missing", small);
  refused("images must not be negative", small + "--images -1");
  refused("does not exist; give --images", small + "--data_path nowhere");
  refused("processes must be in 1 ..", small + "--images 100 --processes 0");
  refused("fewer than one step needs", small + "--images 100 --processes 26");
  refused("images_per_second must not be", small + "--images 100 --images_per_second -1");
  refused("change mask_ratio", small + "--images 100 --mask_ratio 0.99");
  refused("guide_layer", small + "--images 100 --mask_strategy self_guided --guide_layer 2");
}

}  // namespace
}  // namespace sgmae
