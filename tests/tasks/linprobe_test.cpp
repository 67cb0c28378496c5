// Oracles: a data set that pixels alone decide; for resuming, the unbroken run, byte by byte.
#include "sgmae/tasks/linprobe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <sstream>

#include "sgmae/base/log.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/train/checkpoint.h"
#include "tests/data/folder.h"
#include "tests/eval/striped_data.h"
#include "tests/pretend_device.h"
#include "tests/support/log_lines.h"
#include "tests/support/other_device.h"
#include "tests/tasks/step_transfers.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

class Linprobe : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_quiet(true);
    striped::write_part(folder_.path(), "train", 60, true);
    striped::write_part(folder_.path(), "t10k", 30, true);
    save_encoder(1);
  }
  void save_encoder(std::uint64_t seed, bool damaged = false) const {
    Mae model(tiny_mae(), seed);
    if (damaged) model.parameters()[0].value.fill_(std::nanf(""));
    ModelInfo info;
    info.mean = {0.5f};
    info.std = {0.25f};
    save_mae(folder_.path("encoder.safetensors"), model, info);
  }
  // Five steps an epoch, with a batch left over.
  LinprobeOptions options(const std::string& run) const {
    LinprobeOptions o;
    o.checkpoint = folder_.path("encoder.safetensors");
    o.data.data_path = folder_.path();
    o.data.num_workers = 1;
    o.output_dir = folder_.path(run);
    o.batch_size = 5, o.accum_iter = 2;
    o.epochs = 3, o.warmup_epochs = 1;
    o.lr = 20;
    o.threads = 1;
    o.precision = PrecisionChoice::fp32;
    return o;
  }
  std::string text(const std::string& file) const { return read_text(folder_.path(file)); }

  Folder folder_;
};

TEST_F(Linprobe, LearnsAndLeavesEverything) {
  LinprobeOptions o = options("run");
  o.epochs = 12;
  const auto result = linprobe(o);
  EXPECT_GT(result["acc1"], 0.6);  // by chance 1/3; training sees random crops
  EXPECT_GE(result["best_acc1"], result["acc1"]);
  EXPECT_EQ(result["features"], "cls");
  EXPECT_EQ(result["classes"], 3);
  EXPECT_EQ(result["test"]["images"], 30);
  EXPECT_EQ(nlohmann::json::parse(text("run/result.json")), nlohmann::json(result));

  std::istringstream lines(text("run/log.txt"));
  std::string line;
  std::int64_t epoch = 0;
  for (; std::getline(lines, line); ++epoch) {
    const auto entry = nlohmann::json::parse(line);
    EXPECT_EQ(entry["epoch"], epoch + 1);
    for (const char* key :
         {"train_lr", "train_loss", "test_loss", "test_acc1", "test_acc5", "grad_norm", "img_per_s",
          "data_wait_frac", "skipped_steps", "unreadable_images"})
      EXPECT_TRUE(entry[key].is_number()) << key;
    EXPECT_EQ(entry["n_parameters"], 3 * 16 + 3);
  }
  EXPECT_EQ(epoch, 12);

  const TensorFile last = read_safetensors(folder_.path("run/checkpoint-last.safetensors"));
  for (const char* name : {"cls_token", "blocks.0.attn.qkv.weight", "norm.weight", "head.1.weight",
                           "head.1.bias", "head.0.running_mean", "head.0.num_batches_tracked"})
    EXPECT_TRUE(last.find(name)) << name;
  EXPECT_FALSE(last.find("mask_token"));
  EXPECT_TRUE(fs::exists(folder_.path("run/figures/confusion.png")));

  // The best classifier tests as it did, from its file alone, and its encoder can be used again.
  LinprobeOptions again = options("again");
  again.checkpoint = folder_.path("run/checkpoint-best.safetensors");
  again.eval = true;
  EXPECT_EQ(linprobe(again)["acc1"], result["best_acc1"]);
  EXPECT_NO_THROW(open_model(again.checkpoint));
}

TEST_F(Linprobe, GoesOnBitForBit) {
  linprobe(options("whole"));
  for (const auto& [epoch, step] : {std::pair<int, int>{0, 2}, {1, 6}, {2, 1}}) {
    // Stopped as by a user; then ended as by a crash; then left to finish.
    const std::string run = str("broken-", epoch, "-", step);
    const auto at = [&](std::int64_t e, std::int64_t s) { return e == epoch && s == step; };
    const std::string message = error_of(ExitCode::interrupted, [&] {
      linprobe(options(run), {[&](auto e, auto s, auto&) {
                 if (at(e, s)) ::raise(SIGTERM);
               }});
    });
    EXPECT_NE(message.find("resumes from there"), std::string::npos);
    EXPECT_THROW(linprobe(options(run), {[](auto e, auto s, auto&) {
                            if (e == 2 && s == 4) throw std::runtime_error("crash");
                          }}),
                 std::runtime_error);
    linprobe(options(run));
    for (const char* file : {"/checkpoint-last.safetensors", "/checkpoint-best.safetensors",
                             "/checkpoint-last.state.safetensors", "/result.json"})
      EXPECT_EQ(text("whole" + std::string(file)), text(run + file)) << run << file;
    EXPECT_EQ(timeless_log(folder_.path("whole")), timeless_log(folder_.path(run))) << run;
  }
}

// fp32 sums of the encoder in another order: 1e-6 of the features.
TEST_F(Linprobe, AnotherDeviceProbesAlike) {
  const std::string device = other_device().str();
  for (const bool cached : {false, true}) {
    LinprobeOptions here = options(cached ? "here-cached" : "here");
    here.cached_features = cached;
    LinprobeOptions there = here;
    there.output_dir += "-there";
    there.device = device;
    const double expected = linprobe(here)["test"]["acc1"].get<double>();
    EXPECT_EQ(linprobe(there)["test"]["acc1"].get<double>(), expected);
  }
  EXPECT_EQ(read_safetensors(folder_.path("here-there/checkpoint-last.safetensors")).tensors.size(),
            read_safetensors(folder_.path("here/checkpoint-last.safetensors")).tensors.size());
}

// The head learns on the host: each batch brings pixels, and its features come back together.
TEST_F(Linprobe, ABatchWaitsForThePretendDeviceOnce) {
  pretend_device();
  LinprobeOptions o = options("run");
  o.device = "pretend";
  StepTransfers steps(o.accum_iter);
  linprobe(o, {[&](std::int64_t epoch, std::int64_t step, const LinearHead&) {
             steps.add({.epoch = epoch, .step = step});
           }});
  steps.expect_each(/*sent=*/1, /*read=*/1, /*reads=*/false);
  EXPECT_EQ(steps.count(), 3 * 5);
}

TEST_F(Linprobe, RollsBackFromASpoiledHeadOnce) {
  const auto spoil = [](int times) {
    return LinprobeHooks{[left = times](auto epoch, auto step, const LinearHead& head) mutable {
      if (epoch != 1 || step != 3 || left-- <= 0) return;
      head.tensors().front().second.fill_(std::nanf(""));
    }};
  };
  const auto result = linprobe(options("run"), spoil(1));
  EXPECT_EQ(result["rollbacks"], 1);
  EXPECT_TRUE(std::isfinite(result["acc1"].get<double>()));
  const std::string log = text("run/log.txt");
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 3) << "one line per epoch";

  const std::string message =
      error_of(ExitCode::diverged, [&] { linprobe(options("hopeless"), spoil(99)); });
  EXPECT_NE(message.find("diverged twice after"), std::string::npos) << message;
}

TEST_F(Linprobe, CallingAFinishedProbeOnlyTestsAgain) {
  const auto first = linprobe(options("run"));
  const std::string log = text("run/log.txt");
  LinprobeOptions same = options("run");
  same.data.data_format = DataFormat::idx;  // what it was taken for
  same.launch.partition = "another";
  EXPECT_EQ(linprobe(same), first);
  EXPECT_EQ(text("run/log.txt"), log);
}

TEST_F(Linprobe, CachedFeaturesSolveWhatPixelsDecide) {
  for (const bool global_pool : {false, true}) {
    LinprobeOptions o = options(global_pool ? "mean" : "cls");
    o.cached_features = true;
    o.global_pool = global_pool;
    const auto result = linprobe(o);
    EXPECT_EQ(result["acc1"], 1.0);
    EXPECT_EQ(result["features"], global_pool ? "mean" : "cls");
    EXPECT_TRUE(result["solver"]["converged"]);
    EXPECT_GE(result["trials"].size(), 4u);

    LinprobeOptions again = options("again");
    again.checkpoint = o.output_dir + "/checkpoint-best.safetensors";
    again.eval = true;  // knows which features it was trained on
    EXPECT_EQ(linprobe(again)["test"], result["test"]);
  }
}

TEST_F(Linprobe, TheFolderOfAnotherProbeIsLeftAlone) {
  linprobe(options("run"));
  const std::string config = text("run/config.toml");
  LinprobeOptions other = options("run");
  other.seed = 9;
  EXPECT_NE(error_of(ExitCode::usage, [&] { linprobe(other); }).find("seed"), std::string::npos);
  other = options("run");
  other.resume = "none";
  error_of(ExitCode::usage, [&] { linprobe(other); });
  save_encoder(2);
  EXPECT_NE(error_of(ExitCode::usage, [&] { linprobe(options("run")); }).find("another encoder"),
            std::string::npos);
  EXPECT_EQ(text("run/config.toml"), config);
  folder_.write("pretraining/config.toml", "[model]\nmodel = \"mae_vit_tiny_patch8\"\n");
  EXPECT_NE(
      error_of(ExitCode::usage, [&] { linprobe(options("pretraining")); }).find("not a linear"),
      std::string::npos);
}

TEST_F(Linprobe, RefusesBadInputAndWritesNothing) {
  const auto refused = [&](ExitCode code, auto change, const std::string& message) {
    LinprobeOptions o = options("bad");
    change(o);
    EXPECT_NE(error_of(code, [&] { linprobe(o); }).find(message), std::string::npos) << message;
    EXPECT_FALSE(fs::exists(folder_.path("bad/result.json")));
    EXPECT_FALSE(fs::exists(folder_.path("bad/checkpoint-last.safetensors")));
  };
  refused(
      ExitCode::usage, [](auto& o) { o.checkpoint = ""; }, "--checkpoint");
  refused(
      ExitCode::usage, [](auto& o) { o.global_pool = o.cls_token = true; }, "exclude");
  refused(
      ExitCode::usage, [](auto& o) { o.nb_classes = 10; }, "3 classes");
  refused(
      ExitCode::usage, [](auto& o) { o.model = "mae_vit_base_patch16"; }, "encoder is");
  refused(
      ExitCode::usage, [](auto& o) { o.batch_size = 100; }, "fewer");
  refused(
      ExitCode::usage,
      [](auto& o) {
        o.blr = -1;
        o.lr = 0;
      },
      "learning rate");
  refused(
      ExitCode::usage, [](auto& o) { o.device = "gpu"; }, "device");
  refused(
      ExitCode::checkpoint, [](auto& o) { o.checkpoint += ".absent"; }, "no such file");
  refused(
      ExitCode::checkpoint, [](auto& o) { o.eval = true; }, "no classifier");
  save_encoder(1, /*damaged=*/true);
  refused(
      ExitCode::checkpoint, [](auto&) {}, "not finite");
  refused(
      ExitCode::checkpoint, [](auto& o) { o.cached_features = true; }, "not finite");
  save_encoder(1);
  fs::remove(folder_.path("t10k-labels-idx1-ubyte"));
  refused(
      ExitCode::data, [](auto&) {}, "have no label");
}

}  // namespace
}  // namespace sgmae
