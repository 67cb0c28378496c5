// Whole runs of tiny segmentation models on boxes and discs. Oracle for resuming: the unbroken run.
#include "sgmae/tasks/segment.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <csignal>
#include <functional>

#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/eval/pixel_counts.h"
#include "sgmae/eval/segmenter_file.h"
#include "sgmae/train/checkpoint.h"
#include "tests/eval/segments_data.h"
#include "tests/support/errors.h"
#include "tests/support/log_lines.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

class Segment : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_quiet(true);
    segments::write(root_ / "data", "train", 12);
    segments::write(root_ / "data", "val", 4);
  }

  // From scratch: two epochs of three steps.
  SegmentOptions options(const std::string& run) const {
    SegmentOptions o;
    o.model = "vit_tiny_patch8";
    o.input_size = 32;
    o.dim = 32, o.depth = 4, o.open.heads = 2;
    o.head_channels = 16;
    o.auxiliary_channels = 8;
    o.data.data_path = (root_ / "data").string();
    o.data.coding.classes = 3;
    o.data.num_workers = 1;
    o.batch_size = 4;
    o.epochs = 2;
    o.warmup_epochs = 0;
    o.lr = 2e-3;
    o.layer_decay = 1;
    o.jitter_min = 0.75, o.jitter_max = 1.5;
    o.photometric = false;  // colour is what tells the classes apart
    o.output_dir = (root_ / run).string();
    o.threads = 1;
    o.precision = PrecisionChoice::fp32;
    return o;
  }

  // An autoencoder of that encoder's sizes, for images of another size.
  std::string autoencoder(std::uint64_t seed = 3) const {
    MaeConfig config;
    config.height = config.width = 24;
    config.patch_size = 8;
    config.encoder = {32, 4, 2};
    config.decoder = {16, 1, 2};
    ModelInfo info;
    info.mean = {0.5f, 0.4f, 0.3f}, info.std = {0.25f, 0.2f, 0.3f};
    const fs::path path = root_ / "mae.safetensors";
    save_mae(path, Mae(config, seed), info);
    return path.string();
  }

  // That, as a checkpoint to begin from.
  SegmentOptions begun(const std::string& run) const {
    SegmentOptions o = options(run);
    o.checkpoint = autoencoder();
    o.model.clear();
    o.dim = o.depth = o.open.heads = 0;
    return o;
  }

  const TemporaryFolder folder_;
  const fs::path root_ = folder_.root();
};

void expect_same_run(const fs::path& one, const fs::path& other) {
  for (const char* name : {"checkpoint-best.safetensors", "checkpoint-last.safetensors"}) {
    const SegmenterFile a = read_segmenter(one / name), b = read_segmenter(other / name);
    ASSERT_EQ(a.tensors.size(), b.tensors.size());
    for (std::size_t i = 0; i < a.tensors.size(); ++i)
      EXPECT_TRUE(at::equal(a.tensors[i].second, b.tensors[i].second)) << a.tensors[i].first;
  }
  EXPECT_EQ(timeless_log(one), timeless_log(other));
}

TEST_F(Segment, LearnsAndLeavesACompleteRunFolder) {
  SegmentOptions o = options("run");
  o.epochs = 60;
  o.save_every = 20;
  o.lr = 1e-2;
  o.warmup_epochs = 2;
  o.drop_path = o.head_dropout = 0;
  o.eval_every = 0;
  const auto result = segment(o);
  EXPECT_GT(result["miou"].get<double>(), 0.75);
  EXPECT_GT(result["accuracy"].get<double>(), 0.9);
  EXPECT_EQ(result["per_class"].size(), 3u);
  EXPECT_EQ(result["test_images"], 4);
  for (const char* name : {"config.toml", "env.json", "run.json", "log.txt", "train.log",
                           "result.json", "figures/worst_01.png", "figures/best_04.png",
                           "figures/confusion.png", "checkpoint-best.safetensors",
                           "checkpoint-last.safetensors", "checkpoint-last.state.safetensors"})
    EXPECT_TRUE(fs::exists(root_ / "run" / name)) << name;
  EXPECT_NE(read_text(root_ / "run/train.log").find("expected: about "), std::string::npos);
  const auto lines = log_lines(root_ / "run");
  ASSERT_EQ(lines.size(), 60u);
  EXPECT_LT(lines.back()["train_loss"].get<double>(), lines.front()["train_loss"].get<double>());
  EXPECT_NEAR(lines.back()["train_loss_decode"].get<double>() +
                  0.4 * lines.back()["train_loss_auxiliary"].get<double>(),
              lines.back()["train_loss"].get<double>(), 1e-4);

  // --eval of the run's best model, and use of it.
  SegmentOptions test = options("test");
  test.checkpoint = (root_ / "run").string();
  test.eval = true;
  EXPECT_EQ(segment(test)["miou"], result["miou"]);

  SegmentOptions use = options("used");
  use.checkpoint = (root_ / "run").string();
  use.data.data_path.clear();
  use.predict = true;
  const auto used = segment(use, {(root_ / "data/images/val/3.png").string(),
                                  (root_ / "data/images/train/3.png").string()});
  EXPECT_EQ(used["images"], 2);
  EXPECT_TRUE(fs::exists(root_ / "used/figures/3.png"));
  EXPECT_TRUE(fs::exists(root_ / "used/labels/3_2.png")) << "of another image of that name";
  const LabelMap labels =
      read_label_map(read_file(root_ / "used/labels/3.png", ExitCode::data, 1 << 20));
  PixelCounts counts(3);
  counts.add(segments::paint(1003).labels.labels, labels.labels);
  EXPECT_GT(counts.mean_iou(), 0.6);
}

TEST_F(Segment, AResumedRunEqualsTheUnbrokenOne) {
  segment(options("whole"));
  for (const auto& [epoch, step] : {std::pair<int, int>{0, 2}, {1, 1}}) {
    const std::string run = str("broken_", epoch);
    const EngineHooks stop{.after_step = [&, e = epoch, s = step](const StepDone& done) {
      if (done.epoch == e && done.step == s) std::raise(SIGINT);
    }};
    EXPECT_EQ(exit_code([&] { segment(options(run), {}, stop); }), ExitCode::interrupted);
    segment(options(run));
    expect_same_run(root_ / "whole", root_ / run);
  }
}

TEST_F(Segment, BeginsFromAPretrainedEncoder) {
  SegmentOptions o = begun("from_mae");
  o.epochs = 1;
  segment(o);
  const SegmenterFile file = read_segmenter(root_ / "from_mae");
  EXPECT_EQ(file.normalisation.mean, (std::vector<float>{0.5f, 0.4f, 0.3f}));
  EXPECT_EQ(file.config.backbone.height, 32);
  EXPECT_EQ(file.config.taps, (std::vector<std::int64_t>{0, 1, 2, 3}));
}

TEST_F(Segment, AnotherCheckpointIsAnotherRun) {
  SegmentOptions o = begun("run");
  o.epochs = 1;
  const auto result = segment(o);
  EXPECT_EQ(segment(o), result);
  autoencoder(4);
  EXPECT_NE(error_of(ExitCode::usage, [&] { segment(o); }).find("began from other weights"),
            std::string::npos);
  o.checkpoint = (root_ / "run").string();  // a whole model
  EXPECT_NE(error_of(ExitCode::usage, [&] { segment(o); }).find("began from other weights"),
            std::string::npos);
}

// The probe of dense features: what it begins from stays as it is.
TEST_F(Segment, ALinearHeadLeavesTheEncoderAlone) {
  SegmentOptions o = begun("linear");
  o.head = SegmentMethod::linear;
  o.lr = 1e-2;
  const auto result = segment(o);
  EXPECT_GT(result["accuracy"].get<double>(), 0.3);
  const Pretrained before = read_pretrained(root_ / "mae.safetensors");
  const SegmenterFile after = read_segmenter(root_ / "linear");
  EXPECT_EQ(after.config.head, SegmentHead::linear);
  int compared = 0;
  for (const auto& [name, tensor] : before.tensors) {
    const at::Tensor* now = find_tensor(after.tensors, name);
    if (!now || !name.starts_with("blocks.")) continue;
    EXPECT_TRUE(at::equal(*now, tensor)) << name;
    ++compared;
  }
  EXPECT_EQ(compared, 4 * 12);
}

// Even an untrained encoder tells patches of one colour from those of another, if not always; all
// of them ground would be 0.23.
TEST_F(Segment, NeighboursNeedNoTraining) {
  SegmentOptions o = begun("knn");
  o.head = SegmentMethod::knn;
  o.knn_k = 5;
  const auto result = segment(o);
  EXPECT_GT(result["miou"].get<double>(), 0.33);
  EXPECT_TRUE(fs::exists(root_ / "knn/figures/worst_01.png"));
  EXPECT_FALSE(fs::exists(root_ / "knn/checkpoint-last.safetensors"));
}

TEST_F(Segment, WhatCannotBeUsedIsASentence) {
  const auto code_of = [&](const std::function<void(SegmentOptions&)>& change,
                           const std::vector<std::string>& images = {}) {
    SegmentOptions o = options("refused");
    change(o);
    return exit_code([&] { segment(o, images); });
  };
  EXPECT_EQ(code_of([](SegmentOptions& o) { o.eval = true; }), ExitCode::usage);
  EXPECT_EQ(code_of([](SegmentOptions& o) { o.predict = true; }), ExitCode::usage);
  EXPECT_EQ(code_of([](SegmentOptions&) {}, {"image.png"}), ExitCode::usage);
  EXPECT_EQ(code_of([](SegmentOptions& o) { o.taps = "3;5"; }), ExitCode::usage);
  EXPECT_EQ(code_of([](SegmentOptions& o) { o.taps = "0,1,2,7"; }), ExitCode::usage);
  EXPECT_EQ(code_of([](SegmentOptions& o) { o.scales = "0"; }), ExitCode::usage);
  EXPECT_EQ(code_of([](SegmentOptions& o) { o.jitter_min = 3; }), ExitCode::usage);
  EXPECT_EQ(code_of([](SegmentOptions& o) { o.input_size = 30; }), ExitCode::usage);
  EXPECT_EQ(code_of([](SegmentOptions& o) { o.batch_size = 1; }), ExitCode::usage);
  EXPECT_EQ(code_of([](SegmentOptions& o) { o.stride = o.input_size + 1; }), ExitCode::usage);
  EXPECT_EQ(code_of([](SegmentOptions& o) { o.head = SegmentMethod::knn; }), ExitCode::usage);
  EXPECT_EQ(code_of([](SegmentOptions& o) { o.data.data_path += "/none"; }), ExitCode::data);
  EXPECT_EQ(code_of([&](SegmentOptions& o) {
              o.checkpoint = autoencoder();
              o.eval = true;
            }),
            ExitCode::checkpoint);
  EXPECT_FALSE(fs::exists(root_ / "refused"));
}

}  // namespace
}  // namespace sgmae
