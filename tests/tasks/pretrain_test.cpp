// Whole runs of a tiny model on images made on the fly. Oracle for resuming: the unbroken run.
#include "sgmae/tasks/pretrain.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>

#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "tests/eval/striped_data.h"
#include "tests/pretend_device.h"
#include "tests/support/errors.h"
#include "tests/support/log_lines.h"
#include "tests/support/other_device.h"
#include "tests/support/temporary_folder.h"
#include "tests/tasks/step_transfers.h"
#include "tests/tasks/tiny_run.h"

namespace sgmae {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

class PretrainTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_quiet(true);
    tiny::write_images(root_ / "data");
  }

  PretrainOptions options(const std::string& run) const {
    return tiny::options(root_ / "data", root_ / run);
  }

  const TemporaryFolder folder_;
  const fs::path root_ = folder_.root();
};

// A hook that does `what` after a certain step.
PretrainHooks at_step(std::int64_t epoch, std::int64_t step, std::function<void()> what) {
  PretrainHooks hooks;
  hooks.after_step = [=](const StepDone& progress) {
    if (progress.epoch == epoch && progress.step == step) what();
  };
  return hooks;
}

std::set<std::string> maps_in(const fs::path& run) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(run / "maps"))
    names.insert(entry.path().filename().string());
  return names;
}

void expect_same_run(const fs::path& one, const fs::path& other) {
  const LoadedMae a = load_mae(one), b = load_mae(other);
  for (std::size_t i = 0; i < a.model.parameters().size(); ++i)
    EXPECT_TRUE(at::equal(a.model.parameters()[i].value, b.model.parameters()[i].value))
        << a.model.parameters()[i].name;
  EXPECT_EQ(timeless_log(one), timeless_log(other));
}

TEST_F(PretrainTest, LeavesACompleteRunFolder) {
  PretrainOptions o = options("run");
  o.epochs = 8;
  std::vector<std::string> saved;
  PretrainHooks hooks;
  hooks.after_save = [&](const ModelView&, const fs::path& path) {
    saved.push_back(path.filename());
  };
  const PretrainResult result = pretrain(o, hooks);
  const fs::path run = o.output_dir;
  for (const char* name : {"config.toml", "env.json", "log.txt", "train.log",
                           "maps/relevance-2.safetensors", "checkpoints/epoch-0008.safetensors"})
    EXPECT_TRUE(fs::exists(run / name)) << name;
  EXPECT_EQ(saved, (std::vector<std::string>{"epoch-0000.safetensors", "epoch-0002.safetensors",
                                             "epoch-0008.safetensors"}));
  EXPECT_EQ(result.guide_start, 2);
  EXPECT_EQ(result.checkpoint, run / "checkpoints" / "epoch-0008.safetensors");

  const std::string first = read_text(run / "log.txt");
  EXPECT_TRUE(first.starts_with("{\"train_loss\":")) << "MAE's keys come first: " << first;
  EXPECT_LT(first.find("train_lr"), first.find("\"epoch\""));
  const auto lines = log_lines(run);
  ASSERT_EQ(lines.size(), 8u);
  EXPECT_EQ(lines[0]["epoch"], 1) << "epochs finished";
  EXPECT_LT(lines[1]["train_loss"], lines[0]["train_loss"]) << "it learns";
  EXPECT_FALSE(lines[1].contains("mask_position_bias"));
  EXPECT_TRUE(lines[2].contains("mask_position_bias"));
  for (const json& line : lines)
    EXPECT_NEAR(line["mask_R_M"].get<double>() + line["mask_R_V"].get<double>(), 1, 1e-5);
  EXPECT_NE(
      read_text(run / "train.log").find("guidance began after epoch 2 because guide_start is 2"),
      std::string::npos);
  EXPECT_EQ(load_mae(run).info.guide["hint_ratio"], 0.05);
}

// Where a run may be broken: before guidance, at its start, inside an epoch after it.
struct KillPoint {
  std::int64_t epoch, step;
  const char* name;
};

class PretrainResumeTest : public PretrainTest, public ::testing::WithParamInterface<KillPoint> {};

TEST_P(PretrainResumeTest, BrokenAndResumedEqualsUnbroken) {
  const auto [epoch, step, name] = GetParam();
  pretrain(options("unbroken"));

  const PretrainOptions stopped = options("stopped");
  std::string message;
  EXPECT_EQ(exit_code([&] { pretrain(stopped, at_step(epoch, step, [] { std::raise(SIGINT); })); },
                      &message),
            ExitCode::interrupted);
  EXPECT_NE(message.find(CheckpointName{epoch, step}.file()), std::string::npos) << message;
  pretrain(stopped);
  expect_same_run(root_ / "unbroken", root_ / "stopped");

  PretrainOptions crashed = options("crashed");
  crashed.save_every = 1;  // may differ: it does not change what comes out
  struct Crash {};
  EXPECT_THROW(pretrain(crashed, at_step(epoch, step, [] { throw Crash(); })), Crash);
  pretrain(crashed);
  expect_same_run(root_ / "unbroken", root_ / "crashed");
}

INSTANTIATE_TEST_SUITE_P(KillPoints, PretrainResumeTest,
                         ::testing::Values(KillPoint{1, 3, "BeforeGuidance"},
                                           KillPoint{2, 1, "AtGuidance"},
                                           KillPoint{3, 4, "AfterGuidance"}),
                         [](const auto& info) { return info.param.name; });

TEST_F(PretrainTest, OnlineMasksResumeExactlyToo) {
  const auto with_online = [&](const char* run) {
    PretrainOptions o = options(run);
    tiny::guided(o).mask_source = MaskSource::online;
    tiny::guided(o).guide_target = GuideTarget::alternate;
    return o;
  };
  pretrain(with_online("unbroken"));
  EXPECT_EQ(exit_code([&] {
              pretrain(with_online("broken"), at_step(3, 2, [] { std::raise(SIGTERM); }));
            }),
            ExitCode::interrupted);
  pretrain(with_online("broken"));
  expect_same_run(root_ / "unbroken", root_ / "broken");

  const auto lines = log_lines(root_ / "unbroken");
  EXPECT_FALSE(lines[1].contains("mask_position_bias")) << "masks were random";
  for (const int epoch : {2, 3}) {
    EXPECT_GE(lines[epoch]["mask_position_bias"].get<double>(), 0);
    EXPECT_LE(lines[epoch]["mask_position_bias"].get<double>(), 0.25);
    EXPECT_GT(lines[epoch]["mask_object_share"].get<double>(), 0);
    EXPECT_LE(lines[epoch]["mask_degenerate"].get<int>(), 96);
  }
}

TEST_F(PretrainTest, RefreshedMapsResumeExactly) {
  const auto refreshing = [&](const char* run) {
    PretrainOptions o = options(run);
    tiny::guided(o).mask_refresh_epochs = 1;
    return o;
  };
  pretrain(refreshing("unbroken"));
  // Of the checkpoints from which training can go on, that of epoch 2 is the last that eight steps
  // came after.
  EXPECT_EQ(maps_in(root_ / "unbroken"),
            (std::set<std::string>{"relevance-2.safetensors", "relevance-3.safetensors"}));
  exit_code([&] { pretrain(refreshing("broken"), at_step(3, 2, [] { std::raise(SIGINT); })); });
  pretrain(refreshing("broken"));
  expect_same_run(root_ / "unbroken", root_ / "broken");
}

TEST_F(PretrainTest, MapsStayThatACheckpointStillNeeds) {
  PretrainOptions o = options("run");
  o.epochs = 5;
  o.save_every = 1;
  tiny::guided(o).mask_refresh_epochs = 2;
  // Stopped in epoch 4, whose maps are new: the last of which eight steps came after is that of
  // epoch 3, which the first maps guide.
  exit_code([&] { pretrain(o, at_step(4, 2, [] { std::raise(SIGINT); })); });
  EXPECT_EQ(maps_in(root_ / "run"),
            (std::set<std::string>{"relevance-2.safetensors", "relevance-4.safetensors"}));
  // Stopped in epoch 3, which is guided by the first maps.
  o.output_dir = (root_ / "earlier").string();
  exit_code([&] { pretrain(o, at_step(3, 2, [] { std::raise(SIGINT); })); });
  EXPECT_EQ(maps_in(root_ / "earlier"), (std::set<std::string>{"relevance-2.safetensors"}));
  pretrain(o);
  EXPECT_EQ(maps_in(root_ / "earlier"),
            (std::set<std::string>{"relevance-2.safetensors", "relevance-4.safetensors"}));
}

TEST_F(PretrainTest, LostMapsAreMadeAgainFromTheWeightsThatMadeThem) {
  pretrain(options("unbroken"));
  const PretrainOptions broken = options("broken");
  exit_code([&] { pretrain(broken, at_step(3, 2, [] { std::raise(SIGINT); })); });
  fs::remove(root_ / "broken/maps/relevance-2.safetensors");
  pretrain(broken);
  expect_same_run(root_ / "unbroken", root_ / "broken");
}

TEST_F(PretrainTest, LostMapsAreNeverMadeFromOtherWeights) {
  const PretrainOptions broken = options("broken");
  exit_code([&] { pretrain(broken, at_step(3, 2, [] { std::raise(SIGINT); })); });
  fs::remove(root_ / "broken/maps/relevance-2.safetensors");
  fs::remove(root_ / "broken/checkpoints/epoch-0002.safetensors");
  EXPECT_EQ(exit_code([&] { pretrain(broken); }), ExitCode::checkpoint);
}

TEST_F(PretrainTest, WorkersAndReadersDoNotChangeTheResult) {
  pretrain(options("one"));
  PretrainOptions other = options("other");
  other.num_workers = 0;
  pretrain(other);
  expect_same_run(root_ / "one", root_ / "other");
}

TEST_F(PretrainTest, WithoutGuidanceItIsPlainMae) {
  PretrainOptions plain = options("plain"), late = options("late");
  plain.mask.strategy = "random";
  tiny::guided(late).guide_start = "99";
  const PretrainResult result = pretrain(late);
  EXPECT_EQ(result.guide_start, std::nullopt);
  pretrain(plain);
  expect_same_run(root_ / "plain", root_ / "late");
  EXPECT_TRUE(load_mae(root_ / "plain").info.guide.is_null());
}

// Every tensor of a run must lie where it belongs. fp32 sums in another order change the twelve
// steps' losses by a few 1e-7 each.
TEST_F(PretrainTest, AnotherDeviceTrainsAlike) {
  const std::string device = other_device().str();
  PretrainOptions here = options("here"), there = options("there");
  for (PretrainOptions* o : {&here, &there}) {
    o->mask.strategy = "random";
    o->epochs = 2;
    o->clip_grad = 0.5;
  }
  there.device = device;
  pretrain(here), pretrain(there);
  const auto expected = log_lines(root_ / "here"), found = log_lines(root_ / "there");
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    for (const char* key : {"train_loss", "grad_norm", "mask_R_M"})
      EXPECT_NEAR(found[i][key].get<double>(), expected[i][key].get<double>(),
                  1e-4 * expected[i][key].get<double>())
          << key;
  EXPECT_EQ(json::parse(read_text(root_ / "there" / "env.json")).at("device"), device);
}

// Losses and norms of a step come to the host together, for which alone it waits; each batch brings
// pixels and plan. With random masks, and with those of stored maps.
TEST_F(PretrainTest, AStepWaitsForThePretendDeviceOnce) {
  pretend_device();
  for (const char* strategy : {"random", "self_guided"}) {
    PretrainOptions o = options(strategy);
    o.mask.strategy = strategy;
    o.device = "pretend";
    StepTransfers steps(o.accum_iter);
    PretrainHooks hooks;
    hooks.after_step = [&](const StepDone& step) { steps.add(step); };
    pretrain(o, hooks);
    steps.expect_each(/*sent=*/2);
    EXPECT_EQ(steps.count(), 4 * 5) << "all but the first of each epoch";
  }
}

// Guidance, maps, guard and checkpoints off the CPU, and a run that changes its device on the way.
TEST_F(PretrainTest, AGuidedRunGoesOnOnThePretendDevice) {
  pretend_device();
  PretrainOptions unbroken = options("unbroken"), moved = options("moved");
  unbroken.device = moved.device = "pretend";
  pretrain(unbroken);
  EXPECT_EQ(exit_code([&] { pretrain(moved, at_step(2, 3, [] { std::raise(SIGINT); })); }),
            ExitCode::interrupted);
  pretrain(moved);
  expect_same_run(root_ / "unbroken", root_ / "moved");

  PretrainOptions back = options("back");
  back.device = "pretend";
  EXPECT_EQ(exit_code([&] { pretrain(back, at_step(2, 3, [] { std::raise(SIGINT); })); }),
            ExitCode::interrupted);
  back.device = "cpu";
  pretrain(back);
  const double expected = log_lines(root_ / "unbroken").back()["train_loss"].get<double>();
  EXPECT_NEAR(log_lines(root_ / "back").back()["train_loss"].get<double>(), expected,
              1e-3 * expected);
}

TEST_F(PretrainTest, AFinishedRunStaysAsItIs) {
  const PretrainOptions o = options("run");
  const PretrainResult first = pretrain(o);
  const PretrainResult again = pretrain(o);
  EXPECT_EQ(again.train_loss, first.train_loss);
  EXPECT_EQ(log_lines(root_ / "run").size(), 4u);
}

TEST_F(PretrainTest, IsMadeLongerInPlace) {
  PretrainOptions o = options("run");
  pretrain(o);
  o.epochs = 6;
  pretrain(o);
  const std::string said = read_text(root_ / "run/train.log");
  EXPECT_NE(said.find("made longer, from 4 epochs to 6"), std::string::npos) << said;
  const auto lines = log_lines(root_ / "run");
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_GT(lines[4]["train_lr"], lines[3]["train_lr"])
      << "the cosine of six epochs, from the fifth";
  PretrainOptions whole = options("whole");
  whole.epochs = 6;
  pretrain(whole);
  EXPECT_EQ(lines[5]["train_lr"], log_lines(root_ / "whole")[5]["train_lr"]);
  o.epochs = 5;
  EXPECT_EQ(exit_code([&] { pretrain(o); }), ExitCode::usage) << "shorter it cannot become";
}

TEST_F(PretrainTest, BeginsFromOtherWeightsAndMayBeGuidedAtOnce) {
  pretrain(options("first"));
  PretrainOptions o = options("second");
  tiny::guided(o).guide_start = "0";
  EXPECT_EQ(exit_code([&] { pretrain(o); }), ExitCode::usage) << "a network that is not trained";
  o.init = (root_ / "first").string();
  o.model = "", o.dim = o.depth = o.heads = 0, o.input_size = 0;
  PretrainHooks hooks;
  std::optional<std::string> begun;
  hooks.after_save = [&](const ModelView& view, const fs::path&) {
    if (view.info.epoch == 0) begun = model_hash(view.model);
  };
  const PretrainResult result = pretrain(o, hooks);
  const std::string said = read_text(root_ / "second/train.log");
  EXPECT_EQ(begun, model_hash(load_mae(root_ / "first").model));
  EXPECT_EQ(result.guide_start, 0);
  EXPECT_NE(said.find("begun from the encoder and the decoder of"), std::string::npos) << said;
  EXPECT_EQ(log_lines(root_ / "second").size(), 4u);

  // A decoder that was drawn cannot be asked what it reconstructs worst.
  o.output_dir = (root_ / "third").string();
  o.decoder_depth = 2;
  EXPECT_EQ(exit_code([&] { pretrain(o); }), ExitCode::usage);
  tiny::guided(o).guide.object = ObjectRule::eigenvector;
  EXPECT_EQ(pretrain(o).guide_start, 0);
}

TEST_F(PretrainTest, BeginsFromACheckpointOfAnotherRun) {
  pretrain(options("unbroken"));
  exit_code([&] { pretrain(options("first"), at_step(3, 2, [] { std::raise(SIGINT); })); });
  PretrainOptions moved = options("moved");
  moved.resume = (root_ / "first/checkpoints/epoch-0003-step-2.safetensors").string();
  pretrain(moved);
  const LoadedMae a = load_mae(root_ / "unbroken"), b = load_mae(root_ / "moved");
  EXPECT_EQ(model_hash(a.model), model_hash(b.model));
  EXPECT_NE(read_text(root_ / "moved/config.toml").find("resume = \"auto\""), std::string::npos)
      << "a recipe made of it begins anew";
  moved = options("elsewhere");
  moved.resume = (root_ / "absent.safetensors").string();
  EXPECT_EQ(exit_code([&] { pretrain(moved); }), ExitCode::checkpoint);
}

// Begun from a trained model, a run that is guided at once stays allowed by its folder alone.
TEST_F(PretrainTest, ARunBegunFromACheckpointGoesOnWithoutNamingIt) {
  PretrainOptions first = options("first");
  first.epochs = 1;
  pretrain(first);
  PretrainOptions o = options("run");
  tiny::guided(o).guide_start = "0";
  o.resume = first.output_dir;
  exit_code([&] { pretrain(o, at_step(2, 2, [] { std::raise(SIGINT); })); });
  o.resume = "auto";
  EXPECT_EQ(pretrain(o).guide_start, 1);
}

std::string masks_of(const PretrainOptions& o) {
  return json::parse(read_text(fs::path(o.output_dir) / "run.json")).at("masks");
}

// What was measured and made under other options is measured and made anew.
TEST_F(PretrainTest, BeginsFromACheckpointOfOtherMasks) {
  PretrainOptions stored = options("stored"), online = options("online");
  stored.probe_images = 0;
  tiny::guided(online).mask_source = MaskSource::online;
  for (const PretrainOptions& o : {stored, online})
    exit_code([&] { pretrain(o, at_step(3, 2, [] { std::raise(SIGINT); })); });
  PretrainOptions to_online = online, to_stored = stored;
  to_online.resume = stored.output_dir;
  to_online.output_dir = (root_ / "to_online").string();
  to_stored.resume = online.output_dir;
  to_stored.output_dir = (root_ / "to_stored").string();
  EXPECT_EQ(pretrain(to_online).guide_start, 2);
  EXPECT_EQ(pretrain(to_stored).guide_start, 2);
  EXPECT_EQ(maps_in(root_ / "to_stored"), (std::set<std::string>{"relevance-3.safetensors"}));
  EXPECT_TRUE(log_lines(root_ / "to_online").back().contains("mask_R_M")) << "its probe is new";
  for (const char* run : {"to_online", "to_stored"})
    EXPECT_TRUE(log_lines(root_ / run).back().contains("mask_position_bias")) << run;
}

TEST_F(PretrainTest, MasksAreToldAsTheyBegan) {
  const PretrainOptions first = options("first");
  exit_code([&] { pretrain(first, at_step(3, 2, [] { std::raise(SIGINT); })); });
  EXPECT_EQ(masks_of(first), "random for 2 of 4 epochs, then self_guided");
  PretrainOptions late = options("late");
  tiny::guided(late).guide_start = "6";
  late.epochs = 8;
  late.resume = first.output_dir;
  EXPECT_EQ(pretrain(late).guide_start, 2);
  EXPECT_EQ(masks_of(late), "random for 2 of 8 epochs, then self_guided");
  EXPECT_NE(
      read_text(root_ / "late/train.log")
          .find("guide_start 6 has no effect: guidance of the checkpoint began after epoch 2"),
      std::string::npos);
}

// Spoils the weights of the model under training: tensors are handles, so a view of it is enough.
void spoil(const Mae& model) {
  model.parameters().front().value.fill_(std::numeric_limits<float>::quiet_NaN());
}

TEST_F(PretrainTest, RollsBackFromSpoiledWeightsAndFinishes) {
  PretrainOptions o = options("run");
  o.save_every = 1;
  const Mae* model = nullptr;
  bool spoiled = false;
  PretrainHooks hooks = at_step(2, 3, [&] {
    if (!std::exchange(spoiled, true)) spoil(*model);
  });
  hooks.after_save = [&](const ModelView& view, const fs::path&) { model = &view.model; };
  o.batch_size = 4;  // enough steps for eight bad ones in a row
  const PretrainResult result = pretrain(o, hooks);
  EXPECT_EQ(result.rollbacks, 1);
  EXPECT_EQ(result.skipped_steps, 8);
  EXPECT_TRUE(std::isfinite(result.train_loss));
  EXPECT_EQ(log_lines(root_ / "run").size(), 4u) << "one line per epoch in spite of the repeat";
}

TEST_F(PretrainTest, GivesUpWhenItDivergesAgain) {
  PretrainOptions o = options("run");
  o.batch_size = 4;
  const Mae* model = nullptr;
  PretrainHooks hooks = at_step(1, 3, [&] { spoil(*model); });
  hooks.after_save = [&](const ModelView& view, const fs::path&) { model = &view.model; };
  std::string message;
  EXPECT_EQ(exit_code([&] { pretrain(o, hooks); }, &message), ExitCode::diverged);
  EXPECT_NE(message.find("--blr below 0.02"), std::string::npos) << message;
}

TEST_F(PretrainTest, AFullDiskLeavesThePreviousCheckpoint) {
  PretrainOptions o = options("run");
  o.save_every = 1;
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit tight{20000, before.rlim_max};  // logs fit, checkpoints do not
  std::string message;
  EXPECT_EQ(exit_code([&] { pretrain(o, at_step(1, 2, [&] { setrlimit(RLIMIT_FSIZE, &tight); })); },
                      &message),
            ExitCode::disk_full);
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_NE(message.find("cannot write"), std::string::npos) << message;
  EXPECT_EQ(load_mae(root_ / "run").info.epoch, 1);
  for (const auto& entry : fs::directory_iterator(root_ / "run/checkpoints"))
    EXPECT_EQ(entry.path().string().find(".part"), std::string::npos) << "a partial file stayed";
  pretrain(o);
  EXPECT_EQ(load_mae(root_ / "run").info.epoch, 4);
}

TEST_F(PretrainTest, KeepsOnlyTheNewestCheckpoints) {
  PretrainOptions o = options("run");
  o.epochs = 7;
  o.save_every = 1;
  o.keep_checkpoints = 2;
  pretrain(o);
  // 2: its weights made the maps. 5: the last that eight steps came after.
  EXPECT_EQ(list_checkpoints(root_ / "run/checkpoints", false),
            (std::vector<CheckpointName>{{2, 0}, {5, 0}, {6, 0}, {7, 0}}));
  EXPECT_EQ(list_checkpoints(root_ / "run/checkpoints", true),
            (std::vector<CheckpointName>{{5, 0}, {6, 0}, {7, 0}}));
}

TEST_F(PretrainTest, TestsNeighboursBeforeAndAfter) {
  fs::create_directories(root_ / "labelled");
  striped::write_part(root_ / "labelled", "train", 96, true);
  striped::write_part(root_ / "labelled", "t10k", 30, true);
  PretrainOptions o = options("run");
  o.data_path = (root_ / "labelled").string();
  o.eval_every = 3;
  const PretrainResult result = pretrain(o);
  const auto lines = log_lines(root_ / "run");
  EXPECT_FALSE(lines[0].contains("knn_acc1"));
  EXPECT_TRUE(lines[2].contains("knn_acc1"));
  EXPECT_EQ(lines[3].at("knn_acc1"), result.knn_acc1.value());
  EXPECT_TRUE(result.knn_acc1_before.has_value());
  std::vector<std::int64_t> epochs;
  for (const json& event : json_lines(root_ / "run/events.jsonl"))
    if (event["event"] == "evaluated") epochs.push_back(event["epoch"]);
  EXPECT_EQ(epochs, (std::vector<std::int64_t>{0, 2, 3})) << "before training, in epochs 2 and 3";
}

TEST_F(PretrainTest, NeighboursWithoutATestPartAreRefusedBeforeTheRun) {
  PretrainOptions o = options("run");
  o.eval_every = 3;
  const auto refusal = [&] {
    const std::string message = error_of(ExitCode::data, [&] { pretrain(o); });
    EXPECT_FALSE(fs::exists(root_ / "run")) << "a refused start leaves no trace";
    return message;
  };
  const std::string message = refusal();
  EXPECT_NE(message.find("in it; put it there, or leave out --knn_every"), std::string::npos)
      << message;
  striped::write_part(root_ / "data", "t10k", 30, true);
  EXPECT_NE(refusal().find("have no label, by which --knn_every tests"), std::string::npos);
  o.eval_every = 0;
  o.epochs = 1;
  pretrain(o);
}

TEST_F(PretrainTest, RefusesBadStarts) {
  PretrainOptions o = options("run");
  o.batch_size = 100;
  std::string message;
  EXPECT_EQ(exit_code([&] { pretrain(o); }, &message), ExitCode::usage);
  EXPECT_NE(message.find("96 training images"), std::string::npos) << message;
  EXPECT_FALSE(fs::exists(root_ / "run")) << "a refused start leaves no trace";

  o = options("run");
  o.patch_size = 5;
  EXPECT_EQ(exit_code([&] { pretrain(o); }), ExitCode::usage);
  o = options("run");
  tiny::guided(o).guide.layer = 7;
  EXPECT_EQ(exit_code([&] { pretrain(o); }), ExitCode::usage);
  o = options("run");
  tiny::guided(o).hints.ratio = 0.9;
  EXPECT_EQ(exit_code([&] { pretrain(o); }), ExitCode::usage);
  o = options("run");
  o.data_path = (root_ / "absent").string();
  EXPECT_EQ(exit_code([&] { pretrain(o); }), ExitCode::data);

  pretrain(options("run"));
  o = options("run");
  o.mask.ratio = 0.5;
  EXPECT_EQ(exit_code([&] { pretrain(o); }, &message), ExitCode::usage);
  EXPECT_NE(message.find("mask_ratio is 0.75 there, 0.5 here"), std::string::npos) << message;
}

}  // namespace
}  // namespace sgmae
