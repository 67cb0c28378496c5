// Oracles: the unbroken run for resuming, and counts of what must have been called. Whole trainings
// of real models are in tests/tasks.
#include "sgmae/train/engine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <csignal>

#include "sgmae/base/log.h"
#include "sgmae/base/signals.h"
#include "sgmae/base/version.h"
#include "tests/data/folder.h"
#include "tests/support/log_lines.h"
#include "tests/support/processes.h"
#include "tests/train/grey_images.h"
#include "tests/train/toy_task.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

class EngineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_quiet(true);
    write_grey_images(folder_.path("data"), 26);
    source_ = open_source(folder_.path("data"));
  }

  ToyOptions options(const std::string& run) const {
    ToyOptions o;
    o.output_dir = folder_.path(run);
    return o;
  }
  EngineResult train(ToyTask& task, const ToyOptions& o,
                     CheckpointLayout layout = CheckpointLayout::numbered,
                     const EngineHooks& hooks = {}) const {
    return Engine(task,
                  {.optim = o, .run = o, .config = toml_of(o), .kind = "toy", .layout = layout},
                  open_run_folder(o, toy), hooks)
        .run();
  }
  std::vector<std::string> events(const std::string& run) const {
    std::vector<std::string> found;
    for (const auto& line : json_lines(folder_.path(run + "/events.jsonl")))
      found.push_back(line.at("event"));
    return found;
  }

  Folder folder_;
  std::unique_ptr<Source> source_;
};

TEST_F(EngineTest, TellsATaskWhereItIsAndLeavesARunFolder) {
  ToyOptions o = options("run");
  o.accum_iter = 2;  // 26 images: three steps of two batches, two images left over
  o.eval_every = 2;
  o.seed = 7;
  ToyTask task(*source_, o);
  const EngineResult result = train(task, o);
  ASSERT_EQ(task.places.size(), 3u * 3 * 2);
  EXPECT_EQ(task.places[3].batch, 3);
  EXPECT_EQ(task.places[7].epoch, 1);
  for (const StepPlace& place : task.places) {
    EXPECT_EQ(place.seed, 7u);
    EXPECT_EQ(place.loss_scale, 0.5);
  }
  EXPECT_EQ(task.evaluated, (std::vector<std::int64_t>{2, 3})) << "every second, and the last";
  EXPECT_EQ(result.clock.total_steps, 9);
  EXPECT_EQ(result.clock.epoch, 3);
  const auto lines = log_lines(folder_.path("run"));
  ASSERT_EQ(lines.size(), 3u);
  for (const auto& line : lines)
    for (const char* key :
         {"train_loss", "train_lr", "epoch", "n_parameters", "grad_norm", "img_per_s",
          "tflop_per_s", "data_wait_frac", "skipped_steps", "unreadable_images"})
      EXPECT_TRUE(line.contains(key)) << key;
  EXPECT_FALSE(lines[0].contains("test_x"));
  EXPECT_TRUE(lines[1].contains("test_x"));
  EXPECT_LT(lines[2]["train_loss"], lines[0]["train_loss"]) << "it learns";
  const auto facts = nlohmann::json::parse(read_text(folder_.path("run/run.json")));
  EXPECT_EQ(facts.at("kind"), "toy");
  EXPECT_EQ(facts.at("images_per_epoch"), 24);
  EXPECT_EQ(facts.at("training_images"), 26);
  EXPECT_EQ(facts.at("steps_per_epoch"), 3);
  std::string points;
  for (const auto& entry : fs::directory_iterator(folder_.path("run")))
    if (entry.path().filename().string().starts_with("events.out"))
      points += read_text(entry.path());
  for (const char* tag : {"train_loss", "lr", "perf/test_x", "perf/grad_norm", "perf/img_per_s"})
    EXPECT_NE(points.find(tag), std::string::npos) << tag << " for TensorBoard";
  EXPECT_EQ(events("run"),
            (std::vector<std::string>{"began", "evaluated", "evaluated", "finished"}));
}

// The checkpoint that is written then says so too, for who goes on from it.
TEST_F(EngineTest, LossesOfAnotherTaskAreForgotten) {
  struct Turning : ToyTask {
    using ToyTask::ToyTask;
    EpochStart before_epoch(std::int64_t epoch) override {
      return {.save_now = epoch == 1, .losses_do_not_compare = epoch == 1};
    }
    at::Tensor forward_backward(Batch& batch, const StepPlace& place) override {
      check(place.epoch == 0, ExitCode::data, "the disk is gone");
      return ToyTask::forward_backward(batch, place);
    }
  };
  const ToyOptions o = options("run");
  Turning task(*source_, o);
  EXPECT_THROW(train(task, o), Error);
  const TensorFile state =
      read_safetensors(folder_.path("run/checkpoints/epoch-0001.state.safetensors"));
  const auto trainer = nlohmann::json::parse(state.metadata.at("trainer"));
  EXPECT_EQ(trainer.at("guard").at("loss").size(), 0u);
}

TEST_F(EngineTest, AFinishedRunCalledAgainRecordsNothingAndSaysSo) {
  const ToyOptions o = options("run");
  ToyTask task(*source_, o);
  train(task, o);
  const auto left = [&] {
    std::string all;
    for (const char* file : {"env.json", "run.json", "config.toml", "events.jsonl", "log.txt"})
      all += read_text(folder_.path(str("run/", file)));
    return all;
  };
  const std::string before = left();
  ToyTask again(*source_, o);
  train(again, o);
  EXPECT_TRUE(again.places.empty());
  EXPECT_EQ(left(), before);
  const std::string said = read_text(folder_.path("run/train.log"));
  EXPECT_NE(said.find("finished already, 3 epochs; a larger --epochs trains on"),
            std::string::npos);
  EXPECT_EQ(said.find("resumed from"), std::string::npos);
}

TEST_F(EngineTest, StartedIsTheFirstTimeOfARunThatWasStopped) {
  const ToyOptions o = options("run");
  ToyTask task(*source_, o);
  EngineHooks stop;
  stop.after_step = [](const StepDone& done) {
    if (done.epoch == 1) std::raise(SIGTERM);
  };
  {
    const StopSignals signals;
    error_of(ExitCode::interrupted, [&] { train(task, o, CheckpointLayout::numbered, stop); });
  }
  const fs::path file = folder_.path("run/env.json");
  auto environment = nlohmann::json::parse(read_text(file));
  EXPECT_EQ(environment.at("commit"), build_commit);
  environment["started"] = "2026-01-01T00:00:00Z";
  write_file(file, environment.dump());
  const StopSignals signals;
  ToyTask again(*source_, o);
  train(again, o);
  EXPECT_EQ(nlohmann::json::parse(read_text(file)).at("started"), "2026-01-01T00:00:00Z");
}

class EngineResume : public EngineTest, public ::testing::WithParamInterface<CheckpointLayout> {};

TEST_P(EngineResume, ABrokenRunEndsAsTheUnbrokenOne) {
  ToyTask unbroken(*source_, options("unbroken"));
  train(unbroken, options("unbroken"), GetParam());
  const StopSignals signals;
  for (const auto& [epoch, step] : {std::pair<int, int>{0, 1}, {1, 6}, {2, 3}}) {
    const std::string run = str("broken-", epoch, "-", step);
    const ToyOptions o = options(run);
    EngineHooks stop;
    stop.after_step = [&](const StepDone& done) {
      if (done.epoch == epoch && done.step == step) std::raise(SIGTERM);
    };
    ToyTask first(*source_, o);
    {
      const StopSignals fresh;
      EXPECT_NE(error_of(ExitCode::interrupted, [&] { train(first, o, GetParam(), stop); })
                    .find("resumes from there"),
                std::string::npos);
    }
    const StopSignals again;  // the request is forgotten
    ToyTask second(*source_, o);
    train(second, o, GetParam());
    EXPECT_EQ(second.value(), unbroken.value()) << run;
    EXPECT_EQ(timeless_log(folder_.path(run)), timeless_log(folder_.path("unbroken")));
    EXPECT_EQ(first.places.size() + second.places.size(), unbroken.places.size());
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, EngineResume,
                         ::testing::Values(CheckpointLayout::numbered,
                                           CheckpointLayout::best_and_last),
                         [](const auto& info) {
                           return info.param == CheckpointLayout::numbered ? "Numbered"
                                                                           : "BestAndLast";
                         });

TEST_F(EngineTest, SkipsBadStepsAndGoesBackAfterEightInARow) {
  ToyOptions o = options("few");
  ToyTask few(*source_, o);
  few.spoil = [](const StepPlace& place) { return place.epoch == 1 && place.batch < 3; };
  EXPECT_EQ(train(few, o).skipped_steps, 3);
  EXPECT_TRUE(std::isfinite(few.value()));

  o = options("many");
  o.batch_size = 2;  // thirteen steps an epoch
  ToyTask many(*source_, o);
  int left = 8;
  many.spoil = [&](const StepPlace& place) { return place.epoch == 1 && left-- > 0; };
  const EngineResult result = train(many, o);
  EXPECT_EQ(result.clock.rollbacks, 1);
  EXPECT_EQ(result.skipped_steps, 8);
  EXPECT_EQ(log_lines(folder_.path("many")).size(), 3u) << "one line an epoch";
  const auto happened = events("many");
  EXPECT_EQ(std::count(happened.begin(), happened.end(), "skipped"), 8);
  EXPECT_EQ(std::count(happened.begin(), happened.end(), "rolled back"), 1);

  o = options("hopeless");
  o.batch_size = 2;
  ToyTask hopeless(*source_, o);
  hopeless.spoil = [](const StepPlace& place) { return place.epoch == 1; };
  const std::string message = error_of(ExitCode::diverged, [&] { train(hopeless, o); });
  EXPECT_NE(message.find("diverged twice after"), std::string::npos) << message;
}

// A checkpoint from which no step succeeds is spoiled itself, though its weights are finite: the
// run ends at the one before it, from which another rate can go on.
TEST_F(EngineTest, ASpoiledCheckpointIsSetAside) {
  for (const CheckpointLayout layout :
       {CheckpointLayout::numbered, CheckpointLayout::best_and_last}) {
    ToyOptions o = options(layout == CheckpointLayout::numbered ? "numbered" : "last");
    o.batch_size = 2;  // thirteen steps an epoch
    ToyTask task(*source_, o);
    task.spoil = [](const StepPlace& place) { return place.epoch == 2; };
    const std::string message = error_of(ExitCode::diverged, [&] { train(task, o, layout); });
    EXPECT_NE(message.find("--resume " + o.output_dir + " --output_dir"), std::string::npos)
        << message;
    EXPECT_NE(message.find("--lr below 0.1"), std::string::npos) << message;
    EXPECT_NE(message.find("(after epoch 2 and 8 steps)"), std::string::npos) << message;
    const CheckpointStore store(RunFolder{o.output_dir}, "toy", layout, 1);
    TrainClock clock{.steps_per_epoch = 13};
    StepGuard guard(0);
    store.restore(store.newest().value(), task, clock, guard);
    EXPECT_EQ(clock.epoch, 1) << "that of epoch 2 is set aside";

    ToyOptions lower = o;
    lower.output_dir = o.output_dir + "-lower";
    lower.lr = 0.01;
    lower.resume = o.output_dir;
    ToyTask second(*source_, lower);
    EXPECT_EQ(train(second, lower, layout).clock.epoch, 3);
    EXPECT_EQ(second.places.front().epoch, 1);
  }
}

// Epochs without a step that was taken leave nothing to go back to, or a run that has diverged
// would go on from one to the next.
TEST_F(EngineTest, EpochsWithoutAStepAreNotSaved) {
  ToyOptions o = options("run");  // six steps an epoch
  o.epochs = 9;
  o.save_every = 1;
  ToyTask task(*source_, o);
  task.spoil = [](const StepPlace& place) { return place.epoch > 0; };
  error_of(ExitCode::diverged, [&] { train(task, o); });
  for (const auto& file : fs::directory_iterator(folder_.path("run/checkpoints")))
    EXPECT_LT(file.path().filename().string(), "epoch-0002") << "written after epoch 1";
}

// The last step of an epoch may spoil the weights unseen.
TEST_F(EngineTest, SpoiledWeightsAreNotSaved) {
  const ToyOptions o = options("run");
  ToyTask task(*source_, o);
  EngineHooks hooks;
  int left = 1;
  hooks.after_step = [&](const StepDone& done) {
    if (done.epoch == 1 && done.step == 6 && left-- > 0) task.set_value(INFINITY);
  };
  const EngineResult result = train(task, o, CheckpointLayout::numbered, hooks);
  EXPECT_EQ(result.clock.rollbacks, 1);
  EXPECT_TRUE(std::isfinite(task.value()));
  EXPECT_EQ(log_lines(folder_.path("run")).size(), 3u);
}

TEST_F(EngineTest, AnEvaluationThatDivergesRollsBackToo) {
  ToyOptions o = options("run");
  ToyTask task(*source_, o);
  int left = 1;
  task.on_evaluate = [&](std::int64_t epochs) {
    if (epochs == 2 && left-- > 0) fail(ExitCode::diverged, "scores are not numbers");
  };
  EXPECT_EQ(train(task, o, CheckpointLayout::best_and_last).clock.rollbacks, 1);
  EXPECT_EQ(task.evaluated, (std::vector<std::int64_t>{1, 2, 2, 3}));
}

TEST_F(EngineTest, AnEpochInterruptedInItsEvaluationIsEvaluatedAgain) {
  const ToyOptions o = options("run");
  ToyTask first(*source_, o), second(*source_, o);
  first.on_evaluate = [](std::int64_t epochs) {
    if (epochs == 2) throw StopRequested();
  };
  error_of(ExitCode::interrupted, [&] { train(first, o); });
  train(second, o);
  EXPECT_EQ(second.evaluated, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(log_lines(folder_.path("run")).size(), 3u);
}

TEST_F(EngineTest, ClipsGradients) {
  ToyOptions o = options("run");
  o.clip_grad = 1e-30;  // AdamW's eps then swallows every step
  ToyTask task(*source_, o);
  train(task, o);
  EXPECT_LT(std::abs(task.value()), 1e-10);
}

TEST_F(EngineTest, KeepsTheCheckpointsThatWereAskedFor) {
  const auto files = [&](const std::string& run) {
    std::set<std::string> found;
    for (const auto& name : list_checkpoints(folder_.path(run + "/checkpoints"), false))
      found.insert(name.file());
    return found;
  };
  ToyOptions o = options("all");
  o.keep_checkpoints = 0;
  o.epochs = 5;
  o.save_every = 2;
  ToyTask all(*source_, o);
  train(all, o, CheckpointLayout::best_and_last);
  EXPECT_EQ(files("all"), (std::set<std::string>{"epoch-0002.safetensors", "epoch-0004.safetensors",
                                                 "epoch-0005.safetensors"}));
  EXPECT_TRUE(fs::exists(folder_.path("all/checkpoint-last.safetensors")));
  EXPECT_TRUE(fs::exists(folder_.path("all/checkpoint-best.safetensors")));
  o.output_dir = folder_.path("one");
  o.keep_checkpoints = 1;
  ToyTask one(*source_, o);
  train(one, o, CheckpointLayout::best_and_last);
  EXPECT_TRUE(files("one").empty()) << "checkpoint-last is the newest";
}

TEST_F(EngineTest, BeginsFromAnotherRunWhereToldTo) {
  ToyOptions first = options("first");
  first.epochs = 2;
  ToyTask a(*source_, first);
  train(a, first, CheckpointLayout::best_and_last);
  ToyOptions second = options("second");
  second.resume = first.output_dir;
  ToyTask b(*source_, second);
  train(b, second, CheckpointLayout::best_and_last);
  EXPECT_EQ(b.places.size(), 6u) << "one epoch is left";
  EXPECT_TRUE(fs::exists(folder_.path("second/checkpoint-best.safetensors")))
      << "the best so far is the other run's";
  second = options("third");
  second.resume = first.output_dir;
  second.epochs = 2;
  ToyTask shorter(*source_, second);
  const std::string message =
      error_of(ExitCode::usage, [&] { train(shorter, second, CheckpointLayout::best_and_last); });
  EXPECT_NE(message.find("is trained for 2 epochs, and epochs is 2; give a larger --epochs"),
            std::string::npos)
      << message;
  EXPECT_FALSE(fs::exists(folder_.path("third/config.toml"))) << "a refused start leaves no run";
  second.resume = folder_.path("absent");
  ToyTask c(*source_, second);
  error_of(ExitCode::checkpoint, [&] { train(c, second); });
}

TEST_F(EngineTest, RefusesTheStateOfAnotherKindOfRun) {
  const ToyOptions first = options("first");
  ToyTask a(*source_, first), b(*source_, first);
  train(a, first, CheckpointLayout::best_and_last);
  ToyOptions second = options("second");
  second.resume = first.output_dir;
  const std::string message = error_of(ExitCode::checkpoint, [&] {
    Engine(b,
           {.optim = second,
            .run = second,
            .config = "",
            .kind = "other",
            .layout = CheckpointLayout::best_and_last},
           open_run_folder(second, toy))
        .run();
  });
  EXPECT_NE(message.find("to a run of sgmae toy, not of sgmae other"), std::string::npos)
      << message;
}

TEST_F(EngineTest, RefusesAnotherNumberOfImages) {
  ToyOptions o = options("run");
  ToyTask task(*source_, o);
  train(task, o);
  write_grey_images(folder_.path("more"), 30);
  const auto more = open_source(folder_.path("more"));
  ToyTask other(*more, o);
  const std::string message = error_of(ExitCode::usage, [&] { train(other, o); });
  EXPECT_NE(message.find("had 26 training images and now has 30"), std::string::npos) << message;
}

// A disk that is unmounted in the second epoch and back later.
TEST_F(EngineTest, ImagesThatVanishLeaveACheckpointToGoOnFrom) {
  const ToyOptions o = options("run");
  for (int i = 0; i < 26; ++i) folder_.image(str("photos/", i, ".png"), 9 * i);
  const auto photos = open_source(folder_.path("photos"));
  ToyTask first(*photos, o), second(*photos, o), unbroken(*photos, options("unbroken"));
  train(unbroken, options("unbroken"));
  EngineHooks hooks;
  hooks.after_step = [&](const StepDone& step) {
    if (step.epoch == 1 && step.step == 2)
      fs::rename(folder_.path("photos"), folder_.path("unmounted"));
  };
  const std::string message =
      error_of(ExitCode::data, [&] { train(first, o, CheckpointLayout::numbered, hooks); });
  EXPECT_NE(message.find("epoch-0001-step-2.safetensors is written"), std::string::npos) << message;
  EXPECT_EQ(events("run").back(), "stopped");
  fs::rename(folder_.path("unmounted"), folder_.path("photos"));
  train(second, o);
  EXPECT_EQ(second.value(), unbroken.value()) << "bit for bit";
}

TEST_F(EngineTest, WhatIsMadeOfACheckpointIsMadeAgainWhenTheRunGoesOn) {
  const ToyOptions o = options("run");
  ToyTask first(*source_, o), second(*source_, o);
  EngineHooks hooks;
  hooks.after_save = [](const fs::path&, const TrainClock& clock) {
    if (clock.epoch == 3) fail(ExitCode::usage, "killed");
  };
  std::vector<std::string> made;
  EXPECT_THROW(train(first, o, CheckpointLayout::numbered, hooks), Error);
  hooks.after_save = [&](const fs::path& path, const TrainClock&) {
    made.push_back(path.filename());
  };
  train(second, o, CheckpointLayout::numbered, hooks);
  EXPECT_EQ(made, (std::vector<std::string>{"epoch-0003.safetensors"}));
}

TEST(WholeSteps, LeaveOutWhatFillsNone) {
  ToyOptions o;
  o.batch_size = 7;
  o.accum_iter = 2;
  EXPECT_EQ(whole_steps(60, o), 4);  // 8 whole batches
  o.batch_size = 30;
  EXPECT_EQ(whole_steps(60, o), 1);
  EXPECT_THROW(whole_steps(59, o), Error);
}

TEST_F(EngineTest, ALossThatIsNotANumberInOneProcessIsSkippedByAll) {
  ToyOptions o = options("run");
  expect_in_processes(2, [&] {
    ToyTask task(*source_, o);
    const int rank = processes().rank();
    task.spoil = [&](const StepPlace& place) {
      return rank == 1 && place.epoch == 1 && place.batch == 3;
    };
    const EngineResult result = train(task, o);
    EXPECT_EQ(result.skipped_steps, 1);
    EXPECT_EQ(processes().sum(task.value()), 2 * task.value()) << "the same number in both";
    EXPECT_EQ(task.places.size(), 9u);
    for (const StepPlace& place : task.places) EXPECT_EQ(place.batch % 2, rank);
    EXPECT_EQ(task.places.front().loss_scale, 0.5);
  });
  EXPECT_EQ(log_lines(folder_.path("run")).back().at("skipped_steps"), 1);
}

TEST_F(EngineTest, SpoiledWeightsAreRolledBackByAll) {
  ToyOptions o = options("run");
  o.batch_size = 1;
  expect_in_processes(2, [&] {
    ToyTask task(*source_, o);
    task.spoil = [&](const StepPlace&) {  // the last steps of the second epoch, once
      return processes().rank() == 0 && task.places.size() > 13 + 4 &&
             task.places.size() <= 13 + 4 + StepGuard::spoiled_after;
    };
    const EngineResult result = train(task, o);
    EXPECT_EQ(result.clock.rollbacks, 1);
    EXPECT_EQ(processes().sum(task.value()), 2 * task.value());
  });
}

TEST_F(EngineTest, ImagesThatVanishForOneProcessEndAllWithACheckpoint) {
  struct Vanishing : ToyTask {
    using ToyTask::ToyTask;
    at::Tensor forward_backward(Batch& batch, const StepPlace& place) override {
      check(processes().rank() != 1 || place.epoch < 1 || place.batch < 5, ExitCode::data,
            "the disk is gone");
      return ToyTask::forward_backward(batch, place);
    }
  };
  ToyOptions o = options("run");
  const std::vector<Ended> all = in_processes(2, [&] {
    Vanishing task(*source_, o);
    train(task, o);
  });
  for (const Ended& one : all) {
    EXPECT_EQ(one.code, static_cast<int>(ExitCode::data));
    EXPECT_NE(one.message.find("the disk is gone; "), std::string::npos) << one.message;
  }
  EXPECT_NE(all[0].message.find("process 1 ("), std::string::npos) << all[0].message;
  // Batches 0 and 1, 2 and 3; then 4 and the lost 5.
  EXPECT_TRUE(fs::exists(folder_.path("run/checkpoints/epoch-0001-step-2.safetensors")));
}

TEST_F(EngineTest, ProcessesThatDifferAreRefused) {
  const std::vector<Ended> all = in_processes(2, [&] {
    ToyOptions o = options("run");
    if (processes().rank() == 1) o.seed = 5;
    ToyTask task(*source_, o);
    train(task, o);
  });
  for (const Ended& one : all) {
    EXPECT_EQ(one.code, static_cast<int>(ExitCode::usage));
    EXPECT_NE(one.message.find("has 5 as seed, but process 0"), std::string::npos) << one.message;
  }
}

}  // namespace
}  // namespace sgmae
