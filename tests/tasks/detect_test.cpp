// Whole runs of a tiny detector on rectangles and triangles. Oracle for resuming: the unbroken run.
#include "sgmae/tasks/detect.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <csignal>
#include <functional>

#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/eval/coco_eval_files.h"
#include "sgmae/eval/detector_file.h"
#include "sgmae/train/checkpoint.h"
#include "tests/eval/shapes_data.h"
#include "tests/support/errors.h"
#include "tests/support/log_lines.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

class Detect : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_quiet(true);
    shapes::write(root_ / "data", "train", 12);
    shapes::write(root_ / "data", "val", 5);
  }

  // From scratch: two epochs of three steps.
  DetectOptions options(const std::string& run) const {
    DetectOptions o;
    o.model = "vit_tiny_patch8";
    o.input_size = 64;
    o.dim = 32, o.depth = 2, o.open.heads = 2;
    o.window = 3;
    o.head_channels = 16, o.box_hidden = 32;
    o.box_convs = o.mask_convs = 1;
    o.anchor_scale = 6;
    o.anchor_samples = o.roi_samples = 48;
    o.data.data_path = (root_ / "data").string();
    o.data.num_workers = 1;
    o.batch_size = 4;
    o.epochs = 2;
    o.warmup_epochs = 0;
    o.lr = 2e-3;
    o.layer_decay = 1;
    o.jitter_min = 0.7, o.jitter_max = 1.3;
    o.output_dir = (root_ / run).string();
    o.threads = 1;
    o.precision = PrecisionChoice::fp32;
    return o;
  }

  const TemporaryFolder folder_;
  const fs::path root_ = folder_.root();
};

void expect_same_run(const fs::path& one, const fs::path& other) {
  for (const char* name : {"checkpoint-best.safetensors", "checkpoint-last.safetensors"}) {
    const DetectorFile a = read_detector(one / name), b = read_detector(other / name);
    ASSERT_EQ(a.tensors.size(), b.tensors.size());
    for (std::size_t i = 0; i < a.tensors.size(); ++i)
      EXPECT_TRUE(at::equal(a.tensors[i].second, b.tensors[i].second)) << a.tensors[i].first;
  }
  EXPECT_EQ(timeless_log(one), timeless_log(other));
  EXPECT_EQ(read_text(one / "detections.json"), read_text(other / "detections.json"));
}

TEST_F(Detect, LearnsAndLeavesACompleteRunFolder) {
  DetectOptions o = options("run");
  o.epochs = 120;
  o.save_every = 40;
  o.lr = 4e-3;
  o.warmup_epochs = 5;
  o.eval_every = 0;
  o.data.test_split = "train";
  const auto result = detect(o);
  EXPECT_GT(result["box_ap50"].get<double>(), 0.8);
  EXPECT_GT(result["mask_ap50"].get<double>(), 0.8);
  EXPECT_EQ(result["per_class"]["box"]["objects"].get<int>() +
                result["per_class"]["wedge"]["objects"].get<int>(),
            22);
  for (const char* name : {"config.toml", "env.json", "run.json", "log.txt", "train.log",
                           "result.json", "detections.json", "figures/worst_01.png",
                           "figures/best_01.png", "checkpoint-best.safetensors",
                           "checkpoint-last.safetensors", "checkpoint-last.state.safetensors"})
    EXPECT_TRUE(fs::exists(root_ / "run" / name)) << name;
  EXPECT_NE(read_text(root_ / "run/train.log").find("expected: about "), std::string::npos);
  const auto lines = log_lines(root_ / "run");
  ASSERT_EQ(lines.size(), 120u);
  EXPECT_LT(lines.back()["train_loss"].get<double>(), lines.front()["train_loss"].get<double>());
  double parts = 0;
  for (const char* part : {"objectness", "proposal_box", "classification", "box", "mask"})
    parts += lines.back()[str("train_loss_", part)].get<double>();
  EXPECT_NEAR(parts, lines.back()["train_loss"].get<double>(), 1e-4);

  // The file of results holds what COCO's evaluator makes the same numbers of.
  const CocoFile truth(root_ / "data/annotations/instances_train.json");
  const CocoResults found_again(root_ / "run/detections.json", truth);
  EXPECT_NEAR(evaluate(truth, found_again, {}).stats()[0], result["box_ap"].get<double>(), 1e-12);
  EXPECT_NEAR(evaluate(truth, found_again, {.masks = true}).stats()[0],
              result["mask_ap"].get<double>(), 1e-12);

  // --eval of the run's best detector, and use of it.
  DetectOptions test = options("test");
  test.checkpoint = (root_ / "run").string();
  test.data.test_split = "train";
  test.eval = true;
  const auto tested = detect(test);
  EXPECT_EQ(tested["box_ap"], result["box_ap"]);
  EXPECT_EQ(read_text(root_ / "test/detections.json"), read_text(root_ / "run/detections.json"));

  DetectOptions use = options("used");
  use.checkpoint = (root_ / "run").string();
  use.data.data_path.clear();
  use.predict = true;
  const auto used =
      detect(use, {(root_ / "data/train/3.png").string(), (root_ / "data/val/3.png").string()});
  EXPECT_EQ(used["images"], 2);
  EXPECT_TRUE(fs::exists(root_ / "used/figures/3.png"));
  EXPECT_TRUE(fs::exists(root_ / "used/figures/3_2.png")) << "of another image of that name";
  const json found = json::parse(read_text(root_ / "used/detections.json"));
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0]["file_name"], (root_ / "data/train/3.png").string());
  EXPECT_TRUE(found[0]["category_id"] == 3 || found[0]["category_id"] == 7);
}

TEST_F(Detect, AResumedRunEqualsTheUnbrokenOne) {
  detect(options("whole"));
  for (const auto& [epoch, step] : {std::pair<int, int>{0, 2}, {1, 1}}) {
    const std::string run = str("broken_", epoch);
    const EngineHooks stop{.after_step = [&, e = epoch, s = step](const StepDone& done) {
      if (done.epoch == e && done.step == s) std::raise(SIGINT);
    }};
    EXPECT_EQ(exit_code([&] { detect(options(run), {}, stop); }), ExitCode::interrupted);
    detect(options(run));
    expect_same_run(root_ / "whole", root_ / run);
  }
}

// An autoencoder of the encoder's sizes, on other images, with a class token.
fs::path save_autoencoder(const fs::path& folder, std::uint64_t seed = 3) {
  MaeConfig config;
  config.height = config.width = 24;
  config.patch_size = 8;
  config.encoder = {32, 2, 2};
  config.decoder = {16, 1, 2};
  ModelInfo info;
  info.mean = {0.5f, 0.4f, 0.3f}, info.std = {0.25f, 0.2f, 0.3f};
  const fs::path path = folder / "mae.safetensors";
  save_mae(path, Mae(config, seed), info);
  return path;
}

TEST_F(Detect, BeginsFromAPretrainedEncoderOrFromADetectorOfOtherClasses) {
  DetectOptions o = options("from_mae");
  o.checkpoint = save_autoencoder(root_).string();
  o.model.clear();
  o.dim = o.depth = o.open.heads = 0;
  o.epochs = 1;
  const auto result = detect(o);
  EXPECT_EQ(detect(o), result);
  save_autoencoder(root_, 4);
  EXPECT_NE(error_of(ExitCode::usage, [&] { detect(o); }).find("began from other weights"),
            std::string::npos);
  const DetectorFile file = read_detector(root_ / "from_mae");
  EXPECT_EQ(file.normalisation.mean, (std::vector<float>{0.5f, 0.4f, 0.3f}));
  EXPECT_EQ(file.classes.names, (std::vector<std::string>{"box", "wedge"}));
  EXPECT_EQ(file.classes.ids, (std::vector<std::int64_t>{3, 7}));

  // A third class: only the layers that go with it begin anew.
  json document = json::parse(read_text(root_ / "data/annotations/instances_train.json"));
  document["categories"].push_back({{"id", 9}, {"name", "other"}});
  write_file(root_ / "data/annotations/instances_train.json", document.dump());
  DetectOptions more = options("more");
  more.checkpoint = (root_ / "from_mae").string();
  more.model.clear();
  more.dim = more.depth = more.open.heads = 0;
  more.input_size = 0;
  more.epochs = 1;
  more.lr = 1e-12;
  more.head_channels = 32;
  EXPECT_EQ(exit_code([&] { detect(more); }), ExitCode::usage) << "the file's heads have 16";
  more.head_channels = 16;
  detect(more);
  const DetectorFile three = read_detector(root_ / "more");
  EXPECT_EQ(three.config.classes, 3);
  for (const auto& [name, tensor] : three.tensors) {
    const at::Tensor* before = find_tensor(file.tensors, name);
    ASSERT_TRUE(before) << name;
    if (before->sizes() == tensor.sizes())
      EXPECT_TRUE(at::allclose(*before, tensor, 1e-4, 1e-6)) << name;
    else
      EXPECT_TRUE(name.starts_with("roi_heads.box_predictor.") ||
                  name.starts_with("roi_heads.mask_head.predictor."))
          << name;
  }
}

TEST_F(Detect, WhatCannotBeUsedIsASentence) {
  const auto code_of = [&](const std::function<void(DetectOptions&)>& change,
                           const std::vector<std::string>& images = {}) {
    DetectOptions o = options("refused");
    change(o);
    return exit_code([&] { detect(o, images); });
  };
  EXPECT_EQ(code_of([](DetectOptions& o) { o.eval = true; }), ExitCode::usage);
  EXPECT_EQ(code_of([](DetectOptions& o) { o.predict = true; }), ExitCode::usage);
  EXPECT_EQ(code_of([](DetectOptions&) {}, {"image.png"}), ExitCode::usage);
  EXPECT_EQ(code_of([](DetectOptions& o) { o.lr_steps = "0.5;0.7"; }), ExitCode::usage);
  EXPECT_EQ(code_of([](DetectOptions& o) { o.lr_steps = "1.5"; }), ExitCode::usage);
  EXPECT_EQ(code_of([](DetectOptions& o) { o.global_blocks = "2"; }), ExitCode::usage);
  EXPECT_EQ(code_of([](DetectOptions& o) { o.jitter_min = 3; }), ExitCode::usage);
  EXPECT_EQ(code_of([](DetectOptions& o) { o.input_size = 60; }), ExitCode::usage);
  EXPECT_EQ(code_of([](DetectOptions& o) { o.head_channels = 0; }), ExitCode::usage);
  EXPECT_EQ(code_of([&](DetectOptions& o) {
              o.checkpoint = save_autoencoder(root_).string();
              o.eval = true;
            }),
            ExitCode::checkpoint);
  EXPECT_FALSE(fs::exists(root_ / "refused"));
}

}  // namespace
}  // namespace sgmae
