// Oracles: what older versions wrote, made by hand, and files spoiled by hand. That runs go on bit
// for bit is in engine_test and tests/tasks.
#include "sgmae/train/checkpoint_store.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <limits>

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
  write_safetensors(folder_.path("run/checkpoints/checkpoint-1-4.safetensors"),
                    {{"w", at::full({1}, 1.0f)}});
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
  for (const char* name : {"text.safetensors", "checkpoint-x.safetensors"}) {
    folder_.write(std::string("run/checkpoints/") + name, "");
    EXPECT_NE(error_of(ExitCode::checkpoint,
                       [&] {
                         store(CheckpointLayout::numbered)
                             .restore(folder_.path("run/checkpoints") / fs::path(name), t, clock_,
                                      guard_);
                       })
                  .find("not a checkpoint of a training run"),
              std::string::npos);
  }
}

// Deleting damaged checkpoints, as messages advise, must not end in a run that begins anew over
// those that are left.
TEST_F(CheckpointStoreTest, GoesOnFromTheNewestModelWhereNoStateIsLeft) {
  const CheckpointStore numbered = store(CheckpointLayout::numbered);
  ToyTask t = task();
  t.set_value(3);
  clock_.epoch = 2;
  clock_.step = 1;
  const fs::path model = numbered.save(t, clock_, guard_, false);
  fs::remove(folder_.path("run/checkpoints/epoch-0002-step-1.state.safetensors"));
  ASSERT_EQ(numbered.newest(), model);

  ToyTask other = task();
  TrainClock clock{.steps_per_epoch = 6};
  testing::internal::CaptureStderr();
  numbered.restore(model, other, clock, guard_);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("new optimizer"), std::string::npos);
  EXPECT_EQ(other.value(), 3);
  EXPECT_EQ(clock.name(), (CheckpointName{2, 1}));
  EXPECT_EQ(clock.total_steps, 13);
  EXPECT_TRUE(fs::exists(folder_.path("run/checkpoints/epoch-0002-step-1.state.safetensors")))
      << "a roll-back finds a whole checkpoint";
}

// Oracle: the definition. Sound are those that 8 steps of training came after.
TEST_F(CheckpointStoreTest, TheLastSoundCheckpointStays) {
  const CheckpointStore numbered = store(CheckpointLayout::numbered);  // keeps one
  ToyTask t = task();
  clock_.steps_per_epoch = 4;
  const auto left = [&] { return list_checkpoints(folder_.path("run/checkpoints"), true); };
  using Names = std::vector<CheckpointName>;
  numbered.save(t, clock_, guard_, false);
  clock_.epoch = 1;
  numbered.save(t, clock_, guard_, false);
  EXPECT_EQ(left(), (Names{{0, 0}, {1, 0}})) << "four steps prove nothing";
  clock_.epoch = 2;
  numbered.save(t, clock_, guard_, false);
  EXPECT_EQ(left(), (Names{{0, 0}, {1, 0}, {2, 0}})) << "eight steps after the first";
  clock_.epoch = 3;
  numbered.save(t, clock_, guard_, false);
  EXPECT_EQ(left(), (Names{{1, 0}, {2, 0}, {3, 0}}));
  EXPECT_TRUE(numbered.step_back());
  EXPECT_EQ(left(), (Names{{1, 0}, {2, 0}}));
  EXPECT_TRUE(fs::exists(folder_.path("run/checkpoints/epoch-0003.safetensors.diverged")));
  EXPECT_TRUE(numbered.step_back());
  EXPECT_FALSE(numbered.step_back()) << "the last one stays";
  EXPECT_EQ(left(), (Names{{1, 0}}));

  const CheckpointStore last = store(CheckpointLayout::best_and_last);
  const fs::path state = folder_.path("run/checkpoint-last.state.safetensors"),
                 sound = folder_.path("run/checkpoint-before.state.safetensors");
  for (const std::int64_t epoch : {0, 1, 3}) {  // of four steps
    clock_.epoch = epoch;
    t.set_value(static_cast<double>(epoch));
    last.save(t, clock_, guard_, false);
    EXPECT_EQ(fs::exists(sound), epoch > 0) << "the first, until there is a better one";
  }
  EXPECT_EQ(last.newest(), state);
  EXPECT_TRUE(last.step_back());
  ASSERT_EQ(last.newest(), sound);
  last.restore(sound, t, clock_, guard_);
  EXPECT_EQ(t.value(), 1) << "that of epoch 1, eight steps before the last";
  EXPECT_FALSE(last.step_back());
  last.save(t, clock_, guard_, /*last=*/true);
  EXPECT_FALSE(fs::exists(sound)) << "the run is over";
}

TEST_F(CheckpointStoreTest, WhatIsNotFiniteIsNeverWritten) {
  for (const CheckpointLayout layout :
       {CheckpointLayout::numbered, CheckpointLayout::best_and_last}) {
    ToyTask t = task();
    t.set_value(std::numeric_limits<double>::infinity());
    const std::string message =
        error_of(ExitCode::diverged, [&] { store(layout).save(t, clock_, guard_, /*last=*/true); });
    EXPECT_NE(message.find("'w' 1 of 1 values"), std::string::npos) << message;
    ToyTask moments = task();  // the optimizer's
    moments.learners().front()->parameters->front().grad.fill_(1e30);
    moments.learners().front()->optimizer->step(1e-3, 1.0);  // squared, that is infinite in fp32
    error_of(ExitCode::diverged, [&] { store(layout).save(moments, clock_, guard_, true); });
    error_of(ExitCode::diverged, [&] {
      if (layout == CheckpointLayout::best_and_last)
        store(layout).save_best(t, clock_);
      else
        store(layout).save(t, clock_, guard_, true);
    });
    EXPECT_TRUE(fs::is_empty(folder_.path("run/checkpoints")));
    EXPECT_FALSE(fs::exists(folder_.path("run/checkpoint-last.state.safetensors")));
    EXPECT_FALSE(fs::exists(folder_.path("run/checkpoint-best.safetensors")));
  }
}

TEST_F(CheckpointStoreTest, ADamagedFileIsNotGoneOnFrom) {
  const CheckpointStore numbered = store(CheckpointLayout::numbered);
  ToyTask t = task();
  const fs::path model = numbered.save(t, clock_, guard_, false);
  const fs::path state = folder_.path("run/checkpoints/epoch-0000.state.safetensors");
  for (const fs::path& file : {model, state}) {
    const std::string whole = read_text(file);
    for (std::size_t i = whole.size() - 4; i < whole.size(); ++i) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
      write_file(file, damaged);
      EXPECT_NE(error_of(ExitCode::checkpoint, [&] { numbered.restore(model, t, clock_, guard_); })
                    .find("checksum"),
                std::string::npos);
    }
    write_file(file, whole);
  }
  EXPECT_NO_THROW(numbered.restore(model, t, clock_, guard_));
}

TEST_F(CheckpointStoreTest, OtherImagesAreNoticed) {
  const CheckpointStore numbered = store(CheckpointLayout::numbered);
  ToyTask t = task();
  const fs::path model = numbered.save(t, clock_, guard_, false);
  const fs::path images = folder_.path("data/train-images-idx3-ubyte");
  std::string bytes = read_text(images);
  bytes.back() = static_cast<char>(bytes.back() + 1);  // the same number, one of them another
  write_file(images, bytes);
  const auto exchanged = open_source(folder_.path("data"));
  ASSERT_EQ(exchanged->size(), source_->size());
  ToyTask on_others(*exchanged, options_);
  const std::string message =
      error_of(ExitCode::usage, [&] { numbered.restore(model, on_others, clock_, guard_); });
  EXPECT_NE(message.find("26 training images as before"), std::string::npos) << message;
  EXPECT_NE(message.find("--data_path"), std::string::npos) << message;
}

// Where an epoch has other steps, the number of those done does not say which images are left.
TEST_F(CheckpointStoreTest, InsideAnEpochStepsMustBeTheSame) {
  for (const CheckpointLayout layout :
       {CheckpointLayout::numbered, CheckpointLayout::best_and_last}) {
    ToyTask t = task();
    TrainClock inside{.steps_per_epoch = 6, .epoch = 1, .step = 4}, other{.steps_per_epoch = 3};
    const fs::path middle = store(layout).save(t, inside, guard_, false);
    const std::string message =
        error_of(ExitCode::usage, [&] { store(layout).restore(middle, t, other, guard_); });
    EXPECT_NE(message.find("an epoch had 6 steps, of which 4 are done, and now has 3"),
              std::string::npos)
        << message;
    TrainClock same{.steps_per_epoch = 6}, between{.steps_per_epoch = 6, .epoch = 2};
    store(layout).restore(middle, t, same, guard_);
    EXPECT_EQ(same.step, 4);
    store(layout).restore(store(layout).save(t, between, guard_, false), t, other, guard_);
    EXPECT_EQ(other.progress(), 2);
    EXPECT_EQ(other.steps_per_epoch, 3);
  }
}

// A user's models and other runs' states are never to be deleted.
TEST_F(CheckpointStoreTest, WhatIsNamedAndNoStateIsLeftAlone) {
  const CheckpointStore last = store(CheckpointLayout::best_and_last);
  ToyTask t = task();
  last.save(t, clock_, guard_, /*last=*/true);
  fs::create_directories(folder_.path("other"));
  const CheckpointStore other(RunFolder{folder_.path("other")}, "toy",
                              CheckpointLayout::best_and_last, 1);
  const auto refusal = [&](const CheckpointStore& here, const fs::path& path) {
    const std::string message =
        error_of(ExitCode::checkpoint, [&] { here.restore(path, t, clock_, guard_); });
    EXPECT_EQ(message.find("delete"), std::string::npos) << message;
    return message;
  };
  const fs::path model = folder_.path("run/checkpoint-last.safetensors"),
                 state = folder_.path("run/checkpoint-last.state.safetensors");
  for (const CheckpointStore& here : {last, other}) {
    const std::string message = refusal(here, model);
    EXPECT_NE(message.find(model.string() + ": not a training state; to go on with a run name its "
                                            "folder, or checkpoint-last.state.safetensors"),
              std::string::npos)
        << message;
  }
  write_state(state, "trainer", {{"clock", 3}});
  EXPECT_NE(refusal(other, state).find("damaged; name another one with --resume"),
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
