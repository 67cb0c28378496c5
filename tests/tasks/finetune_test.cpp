// Whole runs of a tiny model on stripes. Oracle for resuming: the unbroken run.
#include "sgmae/tasks/finetune.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <limits>
#include <sstream>

#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/eval/classifier_file.h"
#include "sgmae/train/checkpoint.h"
#include "tests/eval/striped_data.h"
#include "tests/pretend_device.h"
#include "tests/support/errors.h"
#include "tests/support/log_lines.h"
#include "tests/support/other_device.h"
#include "tests/support/temporary_folder.h"
#include "tests/tasks/step_transfers.h"

namespace sgmae {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

class Finetune : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_quiet(true);
    fs::create_directories(root_ / "data");
    striped::write_part(root_ / "data", "train", 48, true);
    striped::write_part(root_ / "data", "t10k", 18, true);
  }

  // From scratch: two epochs of six steps.
  FinetuneOptions options(const std::string& run) const {
    FinetuneOptions o;
    o.model = "vit_tiny_patch8";
    o.input_size = 16;
    o.dim = 16, o.depth = 2, o.open.heads = 2;
    o.drop_path = 0.2;
    o.data.data_path = (root_ / "data").string();
    o.data.num_workers = 1;
    o.batch_size = 8;
    o.epochs = 2;
    o.warmup_epochs = 0;
    o.lr = 3e-3;
    o.mixup = 0.8, o.cutmix = 1;
    o.output_dir = (root_ / run).string();
    o.threads = 1;
    o.precision = PrecisionChoice::fp32;
    return o;
  }

  // An autoencoder of the same encoder, untrained.
  fs::path save_autoencoder(std::uint64_t seed = 3) const {
    MaeConfig config;
    config.height = config.width = 16;
    config.channels = 1;
    config.patch_size = 8;
    config.encoder = {16, 2, 2};
    config.decoder = {8, 1, 2};
    ModelInfo info;
    info.mean = {0.5f}, info.std = {0.25f};
    const fs::path path = root_ / "mae.safetensors";
    save_mae(path, Mae(config, seed), info);
    return path;
  }

  FinetuneOptions from_checkpoint(const std::string& run) const {
    FinetuneOptions o = options(run);
    o.checkpoint = save_autoencoder().string();
    o.model.clear();
    o.input_size = o.dim = o.depth = o.open.heads = 0;
    return o;
  }

  const TemporaryFolder folder_;
  const fs::path root_ = folder_.root();
};

FinetuneHooks at_step(std::int64_t epoch, std::int64_t step, std::function<void()> what) {
  return {[=](std::int64_t e, std::int64_t s, const Vit&) {
    if (e == epoch && s == step) what();
  }};
}

void expect_same_run(const fs::path& one, const fs::path& other) {
  for (const char* name : {"checkpoint-best.safetensors", "checkpoint-last.safetensors"}) {
    const Pretrained a = read_pretrained(one / name), b = read_pretrained(other / name);
    ASSERT_EQ(a.tensors.size(), b.tensors.size());
    for (std::size_t i = 0; i < a.tensors.size(); ++i)
      EXPECT_TRUE(at::equal(a.tensors[i].second, b.tensors[i].second)) << a.tensors[i].first;
  }
  EXPECT_EQ(timeless_log(one), timeless_log(other));
}

TEST_F(Finetune, LearnsAndLeavesACompleteRunFolder) {
  FinetuneOptions o = options("run");
  o.epochs = 12;
  o.mixup = o.cutmix = o.drop_path = o.reprob = 0;
  o.aa = "none";
  o.crop_min = 1;
  o.layer_decay = 1;
  const auto result = finetune(o);
  EXPECT_GT(result["acc1"].get<double>(), 0.9) << "stripes tell the classes apart";
  EXPECT_EQ(result["classes"], 3);
  EXPECT_EQ(result["test"]["images"], 18);
  for (const char* name : {"config.toml", "env.json", "log.txt", "train.log", "result.json",
                           "figures/confusion.png", "checkpoint-best.safetensors",
                           "checkpoint-last.safetensors", "checkpoint-last.state.safetensors"})
    EXPECT_TRUE(fs::exists(root_ / "run" / name)) << name;
  const std::string text = read_text(root_ / "run/log.txt");
  EXPECT_TRUE(text.starts_with("{\"train_loss\":")) << "MAE's keys come first: " << text;
  const auto lines = log_lines(root_ / "run");
  ASSERT_EQ(lines.size(), 12u);
  for (const char* key :
       {"train_lr", "train_loss", "test_loss", "test_acc1", "test_acc5", "epoch", "n_parameters"})
    EXPECT_TRUE(lines.back().contains(key)) << key;
  EXPECT_NEAR(lines.back()["test_acc1"].get<double>(), 100 * result["acc1"].get<double>(), 1e-9);
  EXPECT_LT(lines.back()["train_loss"], lines.front()["train_loss"]);

  FinetuneOptions test = options("tested");
  test.eval = true;
  test.resume = (root_ / "run").string();  // as MAE's script names it
  const auto tested = finetune(test);
  EXPECT_EQ(tested["acc1"], result["best_acc1"]);
  EXPECT_EQ(tested["test"]["images"], 18);
}

TEST_F(Finetune, BrokenAndResumedEqualsUnbroken) {
  const auto with_all = [&](const char* run) {
    FinetuneOptions o = from_checkpoint(run);
    o.accum_iter = 2;
    return o;
  };
  finetune(with_all("unbroken"));

  std::string message;
  EXPECT_EQ(
      exit_code([&] { finetune(with_all("stopped"), at_step(1, 2, [] { std::raise(SIGINT); })); },
                &message),
      ExitCode::interrupted);
  EXPECT_NE(message.find("checkpoint-last.state.safetensors"), std::string::npos) << message;
  finetune(with_all("stopped"));
  expect_same_run(root_ / "unbroken", root_ / "stopped");

  struct Crash {};
  EXPECT_THROW(finetune(with_all("crashed"), at_step(1, 1, [] { throw Crash(); })), Crash);
  finetune(with_all("crashed"));
  expect_same_run(root_ / "unbroken", root_ / "crashed");

  // At an epoch's last step the signal falls into the test.
  EXPECT_EQ(
      exit_code([&] { finetune(with_all("tested"), at_step(0, 3, [] { std::raise(SIGTERM); })); }),
      ExitCode::interrupted);
  FinetuneOptions named = with_all("tested");
  named.data.data_format = DataFormat::idx;  // what it was taken for
  finetune(named);
  expect_same_run(root_ / "unbroken", root_ / "tested");
}

// Spoils the weights in epoch 1, `times` times. Tensors are handles, so a view of them is enough.
FinetuneHooks spoil(int times) {
  return {[left = times](std::int64_t epoch, std::int64_t step, const Vit& model) mutable {
    if (epoch != 1 || step != 3 || left-- <= 0) return;
    model.parameters().front().value.fill_(std::numeric_limits<float>::quiet_NaN());
  }};
}

TEST_F(Finetune, RollsBackFromSpoiledWeightsAndFinishes) {
  const auto result = finetune(options("run"), spoil(1));
  EXPECT_EQ(result["rollbacks"], 1);
  EXPECT_EQ(result["skipped_steps"], 3) << "the rest of the epoch, whose test then says no numbers";
  EXPECT_TRUE(std::isfinite(result["test_loss"].get<double>()));
  EXPECT_EQ(log_lines(root_ / "run").size(), 2u) << "one line per epoch in spite of the repeat";

  FinetuneOptions longer = options("longer");
  longer.batch_size = 3;  // eight bad steps in a row end the epoch before its test does
  const auto other = finetune(longer, spoil(1));
  EXPECT_EQ(other["rollbacks"], 1);
  EXPECT_EQ(other["skipped_steps"], 8);

  // Twice from the same state: the one before is tried too.
  EXPECT_EQ(finetune(options("twice"), spoil(2))["rollbacks"], 2);
  std::string message;
  EXPECT_EQ(exit_code([&] { finetune(options("hopeless"), spoil(99)); }, &message),
            ExitCode::diverged);
  EXPECT_NE(message.find("diverged twice after"), std::string::npos) << message;
  EXPECT_NE(message.find("--lr below 0.003"), std::string::npos) << message;
}

TEST_F(Finetune, WorkersDoNotChangeTheResult) {
  finetune(options("one"));
  FinetuneOptions other = options("other");
  other.data.num_workers = 0;
  finetune(other);
  expect_same_run(root_ / "one", root_ / "other");
}

// fp32 sums in another order change the twelve steps' losses by a few 1e-7 each.
TEST_F(Finetune, AnotherDeviceTrainsAlike) {
  const std::string device = other_device().str();
  FinetuneOptions there = from_checkpoint("there");
  there.device = device;
  finetune(from_checkpoint("here")), finetune(there);
  const auto expected = log_lines(root_ / "here"), found = log_lines(root_ / "there");
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    for (const char* key : {"train_loss", "test_loss", "grad_norm"})
      EXPECT_NEAR(found[i][key].get<double>(), expected[i][key].get<double>(),
                  1e-4 * expected[i][key].get<double>())
          << key;

  FinetuneOptions test = options("tested");
  test.checkpoint = (root_ / "there" / "checkpoint-last.safetensors").string();
  test.eval = true;
  const auto on_cpu = finetune(test);
  test.device = device;
  EXPECT_NEAR(finetune(test)["test_loss"].get<double>(), on_cpu["test_loss"].get<double>(), 1e-5);
}

// Each batch brings pixels, soft targets and the factors of drop path.
TEST_F(Finetune, AStepWaitsForThePretendDeviceOnce) {
  pretend_device();
  FinetuneOptions o = options("run");
  o.device = "pretend";
  o.accum_iter = 2;
  StepTransfers steps(o.accum_iter);
  finetune(o, {[&](std::int64_t epoch, std::int64_t step, const Vit&) {
             steps.add({.epoch = epoch, .step = step});
           }});
  steps.expect_each(/*sent=*/3);
  EXPECT_EQ(steps.count(), 2 * 2);
}

TEST_F(Finetune, BeginsFromAnEncoderAndFromAClassifier) {
  FinetuneOptions o = from_checkpoint("first");
  o.epochs = 1;
  finetune(o);
  EXPECT_EQ(read_pretrained(root_ / "first").config.pooling, Pooling::mean);
  FinetuneOptions next = o;
  next.checkpoint = (root_ / "first").string();
  next.output_dir = (root_ / "second").string();
  next.input_size = 32;
  next.cls_token = true;
  finetune(next);
  const Pretrained second = read_pretrained(root_ / "second");
  EXPECT_EQ(second.config.pooling, Pooling::cls);
  EXPECT_EQ(second.find("pos_embed")->size(1), 1 + 16);
}

TEST_F(Finetune, AFinishedRunIsOnlyTestedAgain) {
  const FinetuneOptions o = options("run");
  const auto first = finetune(o);
  EXPECT_EQ(finetune(o), first);
  EXPECT_EQ(log_lines(root_ / "run").size(), 2u);
}

// Stopped or finished, it goes on from the same weights wherever these lie, and from no others.
TEST_F(Finetune, AnotherCheckpointIsAnotherRun) {
  FinetuneOptions o = from_checkpoint("run");
  const auto refused = [&] {
    save_autoencoder(4);
    const std::string message = error_of(ExitCode::usage, [&] { finetune(o); });
    EXPECT_NE(message.find("began from other weights, but --checkpoint is " + o.checkpoint),
              std::string::npos)
        << message;
    save_autoencoder();
  };
  exit_code([&] { finetune(o, at_step(1, 2, [] { std::raise(SIGINT); })); });
  refused();
  const auto result = finetune(o);
  refused();
  EXPECT_EQ(json::parse(read_text(root_ / "run/result.json"))["checkpoint"], o.checkpoint);
  fs::create_directories(root_ / "moved/checkpoints");
  fs::rename(o.checkpoint, root_ / "moved/checkpoints/epoch-0001.safetensors");
  o.checkpoint = (root_ / "moved").string();
  EXPECT_EQ(finetune(o)["acc1"], result["acc1"]);
}

TEST_F(Finetune, EvalEveryLeavesEpochsUntestedButTheLast) {
  FinetuneOptions o = options("run");
  o.epochs = 3;
  o.eval_every = 2;
  finetune(o);
  const auto lines = log_lines(root_ / "run");
  EXPECT_FALSE(lines[0].contains("test_acc1"));
  EXPECT_TRUE(lines[1].contains("test_acc1"));
  EXPECT_TRUE(lines[2].contains("test_acc1"));
}

TEST_F(Finetune, GivesUpWhenItDiverges) {
  FinetuneOptions o = options("run");
  o.lr = 1e30;
  o.epochs = 4;
  std::string message;
  EXPECT_EQ(exit_code([&] { finetune(o); }, &message), ExitCode::diverged);
  EXPECT_NE(message.find("--lr below 1e+30"), std::string::npos) << message;
}

TEST_F(Finetune, RefusesBadStartsAndLeavesNoTrace) {
  std::string message;
  const auto refused = [&](ExitCode code, const std::string& said, auto change) {
    FinetuneOptions o = options("run");
    change(o);
    EXPECT_EQ(exit_code([&] { finetune(o); }, &message), code) << message;
    EXPECT_NE(message.find(said), std::string::npos) << message;
    EXPECT_FALSE(fs::exists(root_ / "run"));
  };
  using O = FinetuneOptions;
  refused(ExitCode::usage, "48 training images", [](O& o) { o.batch_size = 100; });
  refused(ExitCode::usage, "drop_path", [](O& o) { o.drop_path = 1; });
  refused(ExitCode::usage, "layer_decay", [](O& o) { o.layer_decay = 0; });
  refused(ExitCode::usage, "min_lr", [](O& o) { o.lr = 1e-9; });
  refused(ExitCode::usage, "rand-m9-mstd0.5-inc1", [](O& o) { o.aa = "v0"; });
  refused(ExitCode::usage, "nb_classes", [](O& o) { o.nb_classes = 10; });
  refused(ExitCode::usage, "--checkpoint", [](O& o) { o.eval = true; });
  refused(ExitCode::usage, "--data_path", [](O& o) { o.data.data_path = ""; });
  refused(ExitCode::data, "absent", [&](O& o) { o.data.data_path = (root_ / "absent").string(); });
  refused(ExitCode::checkpoint, "absent",
          [&](O& o) { o.checkpoint = (root_ / "absent").string(); });
  refused(ExitCode::usage, "is not a vit_tiny_patch8",
          [&](O& o) { o.checkpoint = save_autoencoder().string(); });

  striped::write_part(root_ / "data", "t10k", 18, false);
  fs::remove(root_ / "data/t10k-labels-idx1-ubyte");
  refused(ExitCode::data, "have no label", [](O&) {});
}

TEST_F(Finetune, RefusesAClassThatTrainingLacks) {
  striped::write_part(root_ / "data", "train", 2, true);  // classes 0 and 1 alone
  FinetuneOptions o = options("run");
  o.batch_size = 2;
  std::string message;
  EXPECT_EQ(exit_code([&] { finetune(o); }, &message), ExitCode::data);
  EXPECT_NE(message.find("that the training images lack"), std::string::npos) << message;
}

TEST_F(Finetune, ClassesOfOneImageAreFine) {
  striped::write_part(root_ / "data", "train", 3, true);
  FinetuneOptions o = options("run");
  o.batch_size = 3;
  EXPECT_EQ(finetune(o)["classes"], 3);
}

TEST_F(Finetune, EvalRefusesWhatIsNoClassifierOfTheData) {
  FinetuneOptions o = options("run");
  o.eval = true;
  o.model.clear();
  o.checkpoint = save_autoencoder().string();
  std::string message;
  EXPECT_EQ(exit_code([&] { finetune(o); }, &message), ExitCode::checkpoint);
  EXPECT_NE(message.find("contains no classifier"), std::string::npos) << message;

  VitConfig config = read_pretrained(o.checkpoint).config;
  config.classes = 7;
  o.checkpoint = (root_ / "seven.safetensors").string();
  save_classifier(o.checkpoint, Vit(config, 0), {{0.5f}, {0.25f}}, 1, {});
  EXPECT_EQ(exit_code([&] { finetune(o); }, &message), ExitCode::checkpoint);
  EXPECT_NE(message.find("has 7 classes, and the data set has 3"), std::string::npos) << message;
  EXPECT_FALSE(fs::exists(root_ / "run"));
}

TEST_F(Finetune, RefusesTheFolderOfAnotherRun) {
  finetune(options("run"));
  FinetuneOptions o = options("run");
  o.smoothing = 0.2;
  std::string message;
  EXPECT_EQ(exit_code([&] { finetune(o); }, &message), ExitCode::usage);
  EXPECT_NE(message.find("smoothing is 0.1 there, 0.2 here"), std::string::npos) << message;
  o = options("run");
  o.resume = "none";
  EXPECT_EQ(exit_code([&] { finetune(o); }), ExitCode::usage);
}

}  // namespace
}  // namespace sgmae
