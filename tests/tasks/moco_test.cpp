// Whole tiny runs of MoCo v3. Oracle for resuming: the unbroken run; for two processes, one with
// the images of both.
#include "sgmae/tasks/moco.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <functional>
#include <set>

#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/eval/knn_task.h"
#include "sgmae/train/checkpoint.h"
#include "tests/eval/striped_data.h"
#include "tests/support/errors.h"
#include "tests/support/log_lines.h"
#include "tests/support/other_device.h"
#include "tests/support/processes.h"
#include "tests/support/temporary_folder.h"
#include "tests/tasks/tiny_run.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

class MocoRun : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_quiet(true);
    tiny::write_images(root_ / "data");
  }

  // Three epochs of six steps of 16 images.
  PretrainOptions options(const std::string& run) const {
    PretrainOptions o = tiny::options(root_ / "data", root_ / run);
    o.mask = MaskOptions();
    o.decoder_dim = o.decoder_depth = o.decoder_heads = 0;
    o.norm_pix_loss = false;
    o.method = PretrainMethod::moco_v3;
    o.batch_size = 16, o.accum_iter = 1;
    o.epochs = 3;
    o.weight_decay = 0.1;
    o.moco.mlp_dim = 24, o.moco.dim = 8;
    o.moco.momentum = 0.9;
    return o;
  }
  fs::path model(const std::string& run, std::int64_t epoch = 3) const {
    return root_ / run / "checkpoints" / CheckpointName{epoch, 0}.file();
  }
  fs::path state(const std::string& run, std::int64_t epoch = 3) const {
    return root_ / run / "checkpoints" / CheckpointName{epoch, 0}.state();
  }
  void expect_same(const std::string& one, const std::string& other) const {
    for (const auto& [a, b] : {std::pair{model(one), model(other)}, {state(one), state(other)}}) {
      const NamedTensors x = read_safetensors(a).tensors, y = read_safetensors(b).tensors;
      ASSERT_EQ(x.size(), y.size());
      for (std::size_t i = 0; i < x.size(); ++i)
        EXPECT_TRUE(at::equal(x[i].second, y[i].second)) << x[i].first;
    }
    EXPECT_EQ(timeless_log(root_ / one), timeless_log(root_ / other));
  }

  const TemporaryFolder temporary_;
  const fs::path root_ = temporary_.root();
};

TEST_F(MocoRun, LeavesAnEncoderThatIsOpenedAsAnyOther) {
  PretrainOptions o = options("run");
  o.epochs = 10, o.save_every = 1;
  const PretrainResult result = pretrain(o);
  EXPECT_EQ(result.checkpoint, model("run", 10));
  EXPECT_EQ(result.guide_start, std::nullopt);
  const auto lines = log_lines(root_ / "run");
  ASSERT_EQ(lines.size(), 10u);
  EXPECT_LT(lines[9]["train_loss"], lines[0]["train_loss"]) << "it learns";
  for (const auto& line : lines) {
    EXPECT_GE(line["moco_acc1"], 0);
    EXPECT_LE(line["moco_acc1"], 1);
  }
  EXPECT_FALSE(lines[0].contains("mask_R_M"));

  const OpenedModel opened = open_model(root_ / "run");
  ASSERT_NE(opened.vit(), nullptr);
  EXPECT_EQ(opened.family, Family::sgmae);
  EXPECT_EQ(opened.info.epoch, 10);
  EXPECT_EQ(opened.encoder().config().size.dim, o.dim);
  EXPECT_TRUE(opened.info.guide.is_null());
  for (const Use use : {Use::knn, Use::linprobe, Use::finetune, Use::analyze, Use::embed})
    EXPECT_NO_THROW(check_use(use, opened));

  // What was frozen is as it was in the beginning; all else has moved.
  const OpenedModel first = open_model(root_ / "run/checkpoints" / CheckpointName{1, 0}.file());
  for (std::size_t i = 0; i < opened.parameters().size(); ++i) {
    const Parameter &was = first.parameters()[i], &is = opened.parameters()[i];
    const bool frozen = is.name.starts_with("patch_embed.") || is.name == "pos_embed";
    EXPECT_EQ(at::equal(was.value, is.value), frozen) << is.name;
  }
  std::set<std::string> names;
  for (const auto& [name, tensor] : read_safetensors(state("run", 10)).tensors) names.insert(name);
  for (const char* name :
       {"projector.0.weight", "predictor.3.weight", "momentum.cls_token",
        "momentum.projector.6.weight", "exp_avg.blocks.1.attn.qkv.weight", "adamw.step"})
    EXPECT_TRUE(names.count(name)) << name;
  EXPECT_FALSE(names.count("momentum.predictor.0.weight"));
  EXPECT_FALSE(names.count("projector.1.running_mean")) << "one bad batch would spoil it for good";
}

TEST_F(MocoRun, BrokenAndResumedEqualsUnbroken) {
  pretrain(options("unbroken"));
  PretrainHooks stop;
  stop.after_step = [](const StepDone& step) {
    if (step.epoch == 1 && step.step == 3) std::raise(SIGINT);
  };
  EXPECT_EQ(exit_code([&] { pretrain(options("stopped"), stop); }), ExitCode::interrupted);
  pretrain(options("stopped"));
  expect_same("unbroken", "stopped");
  PretrainOptions other = options("other");
  other.num_workers = 0;
  pretrain(other);
  expect_same("unbroken", "other");
}

// From a model without a state: the key network begins as a copy of what was read.
TEST_F(MocoRun, GoesOnFromWeightsAlone) {
  PretrainOptions o = options("run");
  o.save_every = 1;
  pretrain(o);
  PretrainOptions on = options("on");
  fs::create_directories(root_ / "bare");
  fs::copy(model("run", 2), root_ / "bare" / model("run", 2).filename());
  on.resume = (root_ / "bare" / model("run", 2).filename()).string();
  on.lr = 1e-12, on.weight_decay = 0;
  pretrain(on);
  const OpenedModel read = open_model(on.resume), left = open_model(root_ / "on");
  const TensorFile state = read_safetensors(this->state("on"));
  for (std::size_t i = 0; i < read.parameters().size(); ++i) {
    const Parameter& was = read.parameters()[i];
    EXPECT_TRUE(left.parameters()[i].value.allclose(was.value, 1e-5, 1e-6)) << was.name;
    EXPECT_TRUE(state.find("momentum." + was.name)->allclose(was.value, 1e-5, 1e-6)) << was.name;
  }
}

TEST_F(MocoRun, TheStateOfAnotherModelIsLeftAlone) {
  pretrain(options("run"));
  PretrainOptions on = options("on");
  on.resume = (root_ / "run").string();
  on.epochs = 20;
  on.moco.mlp_dim = 2 * on.moco.mlp_dim;
  const std::string message = error_of(ExitCode::checkpoint, [&] { pretrain(on); });
  EXPECT_NE(message.find("the training state has no tensor 'projector."), std::string::npos)
      << message;
  EXPECT_EQ(message.find("delete"), std::string::npos) << message;
}

TEST_F(MocoRun, NeighboursAreTested) {
  fs::create_directories(root_ / "striped");
  striped::write_part(root_ / "striped", "train", 64, true);
  striped::write_part(root_ / "striped", "t10k", 30, true);
  PretrainOptions o = options("run");
  o.data_path = (root_ / "striped").string();
  o.eval_every = 3;
  const PretrainResult result = pretrain(o);
  ASSERT_TRUE(result.knn_acc1_before && result.knn_acc1 && result.knn_acc1_pixels);
  EXPECT_GT(*result.knn_acc1, 0.5);
  // The command finds the same in the file.
  const OpenedModel opened = open_model(root_ / "run");
  KnnTask task;
  task.data.data_path = o.data_path;
  task.data.num_workers = 1;
  task.plain_k = "";
  const KnnScore score = run_knn(opened.encoder(), {opened.info.mean, opened.info.std}, task);
  EXPECT_EQ(score.counts().top1(), *result.knn_acc1);
}

TEST_F(MocoRun, OptionsOfTheOtherMethodAreRefused) {
  const auto complaint = [&](const std::function<void(PretrainOptions&)>& change) {
    PretrainOptions o = options("run");
    change(o);
    const std::string said = error_of(ExitCode::usage, [&] { o.check(); });
    EXPECT_FALSE(fs::exists(root_ / "run"));
    return said;
  };
  EXPECT_EQ(
      complaint([](PretrainOptions& o) { o.mask.ratio = 0.6; }),
      "mask_ratio is an option of --method mae, but method is moco_v3; leave it out or choose "
      "mae");
  EXPECT_NE(complaint([](PretrainOptions& o) { o.mask.strategy = "hpm"; }).find("mask_strategy"),
            std::string::npos);
  EXPECT_NE(complaint([](PretrainOptions& o) {
              tiny::guided(o).guide_start = "2";
            }).find("guide_start is an option of --method mae"),
            std::string::npos);
  EXPECT_NE(complaint([](PretrainOptions& o) { o.decoder_depth = 2; }).find("decoder_depth"),
            std::string::npos);
  EXPECT_NE(complaint([](PretrainOptions& o) { o.norm_pix_loss = true; }).find("norm_pix_loss"),
            std::string::npos);
  EXPECT_EQ(complaint([](PretrainOptions& o) { o.method = PretrainMethod::mae; }),
            "moco_mlp_dim is an option of --method moco_v3, but method is mae; leave it out or "
            "choose moco_v3");
  for (const auto& [name, change] :
       std::vector<std::pair<std::string, std::function<void(MocoOptions&)>>>{
           {"moco_crop_min", [](MocoOptions& m) { m.crop_min = 0; }},
           {"moco_blur_max", [](MocoOptions& m) { m.blur_max = 0; }},
           {"moco_mlp_dim", [](MocoOptions& m) { m.mlp_dim = 0; }},
           {"moco_dim", [](MocoOptions& m) { m.dim = -1; }},
           {"moco_temperature", [](MocoOptions& m) { m.temperature = 0; }},
           {"moco_momentum", [](MocoOptions& m) { m.momentum = 1.5; }}})
    EXPECT_TRUE(complaint([&](PretrainOptions& o) { change(o.moco); }).starts_with(name)) << name;
}

// The first epoch's losses: those of the same images, compared with the same images.
TEST_F(MocoRun, ProcessesTrainAsOne) {
  for (const int size : {1, 2}) {
    PretrainOptions o = options(str("of", size));
    o.batch_size = 16 / size;
    o.epochs = 1;
    expect_in_processes(size, [&] { pretrain(o); });
  }
  const auto one = log_lines(root_ / "of1").front(), two = log_lines(root_ / "of2").front();
  for (const char* key : {"train_loss", "grad_norm", "moco_acc1"}) {
    const double x = one.at(key);
    EXPECT_NEAR(two.at(key).get<double>(), x, 1e-4 * std::abs(x)) << key;
  }
}

TEST_F(MocoRun, AnotherDeviceTrainsAlike) {
  const std::string device = other_device().str();
  if (other_device().is_privateuseone())
    GTEST_SKIP() << "autograd runs backward passes on processors and GPUs alone";
  PretrainOptions here = options("here"), there = options("there");
  here.epochs = there.epochs = 2;
  there.device = device;
  pretrain(here), pretrain(there);
  const auto expected = log_lines(root_ / "here"), found = log_lines(root_ / "there");
  for (std::size_t i = 0; i < found.size(); ++i)
    for (const char* key : {"train_loss", "grad_norm"})
      EXPECT_NEAR(found[i][key].get<double>(), expected[i][key].get<double>(),
                  1e-3 * expected[i][key].get<double>())
          << key;
}

}  // namespace
}  // namespace sgmae
