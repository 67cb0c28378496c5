// Oracles: what older versions wrote, made by hand, and files spoiled by hand. That runs go on bit
// for bit is in engine_test and tests/tasks.
#include "sgmae/train/checkpoint_store.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include "tests/data/folder.h"
#include "tests/train/grey_images.h"
#include "tests/train/toy_task.h"

namespace sgmae {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

class CheckpointStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    write_grey_images(folder_.path("data"), 26);
    source_ = open_source(folder_.path("data"));
    fs::create_directories(folder_.path("run/checkpoints"));
  }

  CheckpointStore store(CheckpointLayout layout, const std::string& kind = "toy") const {
    return CheckpointStore(RunFolder{folder_.path("run")}, kind, layout, 1);
  }
  ToyTask task() const { return ToyTask(*source_, options_); }

  // A state file that holds `state` under `key`, and what the toy's tensors were.
  void write_state(const fs::path& path, const char* key, const json& state) const {
    ToyTask any = task();
    NamedTensors tensors = any.learners().front()->optimizer->state();
    tensors.emplace_back("w", at::full({1}, 7.0f));
    write_safetensors(path, tensors, {{key, state.dump()}});
  }

  Folder folder_;
  ToyOptions options_;
  std::unique_ptr<Source> source_;
  StepGuard guard_{0};
  TrainClock clock_{.steps_per_epoch = 6};
};

TEST_F(CheckpointStoreTest, ReadsTheStatesOfOlderVersions) {
  const json position{{"epoch", 1},   {"step", 4},      {"loss_sum", 2.0}, {"lr_sum", 0.5},
                      {"best", 0.75}, {"rollbacks", 1}, {"best_epoch", 0}};
  // A probe of an older version: no guard, its own things beside the position.
  const fs::path path = folder_.path("run/checkpoint-last.state.safetensors");
  write_state(path, "probe", {{"position", position}, {"images", 26}, {"word", "toy"}});
  ToyTask read = task();
  const CheckpointStore probe = store(CheckpointLayout::best_and_last, "linprobe");
  EXPECT_EQ(probe.newest(), path);
  // The toy looks for its own word in what a state says of the task: here all of the older JSON.
  EXPECT_NO_THROW(probe.restore(path, read, clock_, guard_));
  EXPECT_EQ(read.value(), 7);
  EXPECT_EQ(clock_.epoch, 1);
  EXPECT_EQ(clock_.step, 4);
  EXPECT_EQ(clock_.total_steps, 10);
  EXPECT_EQ(clock_.best, 0.75);
  EXPECT_EQ(clock_.steps_per_epoch, 6);

  const fs::path old = folder_.path("run/checkpoints/checkpoint-1-4.state.safetensors");
  write_state(old, "trainer",
              {{"position", position}, {"guard", guard_.state()}, {"images", 26}, {"word", "toy"}});
  folder_.write("run/checkpoints/checkpoint-1-4.safetensors", "the toy does not look");
  const CheckpointStore pretrain = store(CheckpointLayout::numbered, "pretrain");
  ASSERT_TRUE(pretrain.newest().has_value());
  EXPECT_EQ(pretrain.newest()->filename(), "checkpoint-1-4.safetensors");
  EXPECT_NO_THROW(pretrain.restore(*pretrain.newest(), read, clock_, guard_));
}

TEST_F(CheckpointStoreTest, RefusesWhatIsNotAStateAndNamesTheFile) {
  const fs::path path = folder_.path("run/checkpoint-last.state.safetensors");
  const CheckpointStore last = store(CheckpointLayout::best_and_last);
  ToyTask t = task();
  const auto refusal = [&] {
    return error_of(ExitCode::checkpoint, [&] { last.restore(path, t, clock_, guard_); });
  };
  EXPECT_EQ(last.newest(), std::nullopt);
  write_state(path, "other", {{"clock", clock_.to_json()}});
  EXPECT_NE(refusal().find("not a training state"), std::string::npos);
  for (const json& state : {json{{"clock", clock_.to_json()}}, json{{"clock", 3}}, json("text")}) {
    write_state(path, "trainer", state);
    const std::string message = refusal();
    EXPECT_NE(message.find(path.string() + ": damaged"), std::string::npos) << message;
  }
  const CheckpointStore numbered = store(CheckpointLayout::numbered);
  folder_.write("run/checkpoints/checkpoint-3.safetensors", "");
  EXPECT_EQ(numbered.newest(), std::nullopt) << "there is no state beside it";
  EXPECT_NE(error_of(ExitCode::checkpoint,
                     [&] {
                       numbered.restore(folder_.path("run/checkpoints/checkpoint-3.safetensors"), t,
                                        clock_, guard_);
                     })
                .find(".state.safetensors is not beside it"),
            std::string::npos);
}

TEST_F(CheckpointStoreTest, WhatIsNamedMayBeAFileOrARun) {
  const CheckpointStore last = store(CheckpointLayout::best_and_last);
  ToyTask t = task();
  const fs::path state = last.save(t, clock_, guard_, /*last=*/false);
  EXPECT_EQ(last.named(folder_.path("run")), state);
  EXPECT_EQ(last.named(state), state);
  EXPECT_FALSE(fs::exists(folder_.path("run/checkpoint-last.safetensors"))) << "not the end yet";
  last.save(t, clock_, guard_, /*last=*/true);
  EXPECT_TRUE(fs::exists(folder_.path("run/checkpoint-last.safetensors")));
  error_of(ExitCode::checkpoint, [&] { last.named(folder_.path("data")); });
  error_of(ExitCode::checkpoint, [&] { last.named(folder_.path("absent")); });
}

}  // namespace
}  // namespace sgmae
