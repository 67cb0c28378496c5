// What every masking strategy owes a run. Oracle: the unbroken run, and the run of one process.
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "sgmae/base/log.h"
#include "sgmae/io/safetensors.h"
#include "sgmae/mask/registry.h"
#include "sgmae/tasks/pretrain.h"
#include "sgmae/train/checkpoint.h"
#include "tests/support/log_lines.h"
#include "tests/support/processes.h"
#include "tests/support/temporary_folder.h"
#include "tests/tasks/same_bits.h"
#include "tests/tasks/tiny_run.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

// All but those that ask for a file.
std::vector<std::string> strategies() {
  std::vector<std::string> names;
  for (const MaskStrategyEntry& entry : mask_strategies())
    if (std::string(entry.name) != "file") names.push_back(entry.name);
  return names;
}

class Strategies : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    set_log_quiet(true);
    tiny::write_images(root_ / "data");
  }

  // Three epochs; those that begin with random masks go on to their own after the first.
  PretrainOptions options(const std::string& run) const {
    PretrainOptions o = tiny::options(root_ / "data", root_ / run);
    o.epochs = 3;
    o.probe_images = 0;
    tiny::guided(o) = SelfGuidedOptions{};
    o.mask.strategy = GetParam();
    Options declared;
    o.mask.declare(declared);
    const std::string prefix = GetParam() == "self_guided" ? "guide" : GetParam();
    for (const OptionInfo& option : declared.all())
      if (option.name == prefix + "_start") option.assign("1");
    return o;
  }
  const TemporaryFolder temporary_;
  const fs::path root_ = temporary_.root();
};

TEST_P(Strategies, ResumeBitForBitInsideAnEpoch) {
  pretrain(options("unbroken"));
  PretrainHooks stop;
  stop.after_step = [](const StepDone& step) {
    if (step.epoch == 1 && step.step == 3) raise(SIGINT);
  };
  EXPECT_THROW(pretrain(options("stopped"), stop), Error);
  pretrain(options("stopped"));
  expect_same_bits(root_ / "unbroken", root_ / "stopped");
}

// Masks by rank are not continuous in the weights, so that those of several processes, which differ
// in their last bits, go apart after a while; but not in the first epochs, and never twice.
TEST_P(Strategies, TrainInTwoProcessesAsInOne) {
  const auto run = [&](const std::string& name, int processes) {
    PretrainOptions o = options(name);
    o.batch_size = 4;
    o.accum_iter = 4 / processes;
    expect_in_processes(processes, [&] { pretrain(o); });
  };
  run("one", 1);
  run("two", 2);
  run("again", 2);
  expect_same_bits(root_ / "two", root_ / "again");
  const auto one = log_lines(root_ / "one"), two = log_lines(root_ / "two");
  ASSERT_EQ(one.size(), two.size());
  for (std::size_t epoch = 0; epoch < one.size(); ++epoch)
    for (const auto& [key, value] : one[epoch].items()) {
      // Figures of masks are counted over all processes.
      if (key != "train_loss" && !key.starts_with("mask_")) continue;
      if (!value.is_number()) continue;
      const double x = value, y = two[epoch].at(key);
      EXPECT_NEAR(x, y, 5e-3 * std::abs(x)) << key << " of epoch " << epoch;
    }
}

INSTANTIATE_TEST_SUITE_P(All, Strategies, testing::ValuesIn(strategies()),
                         [](const auto& info) { return info.param; });

class StrategyOptions : public testing::Test {
 protected:
  void SetUp() override {
    set_log_quiet(true);
    tiny::write_images(temporary_.root() / "data");
    options_ = tiny::options(temporary_.root() / "data", temporary_.root() / "run");
    tiny::guided(options_) = SelfGuidedOptions{};
  }
  // The sentence of the usage error.
  std::string refusal() {
    try {
      pretrain(options_);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      return error.what();
    }
    ADD_FAILURE() << "not refused";
    return "";
  }
  void set(const std::string& name, const std::string& value) {
    Options declared;
    options_.mask.declare(declared);
    declared.set(name, value, "test");
  }

  const TemporaryFolder temporary_;
  PretrainOptions options_;
};

TEST_F(StrategyOptions, OfAnotherStrategyAreRefused) {
  set("mask_strategy", "random");
  set("amt_throw_ratio", "0.2");
  EXPECT_EQ(refusal(),
            "amt_throw_ratio is an option of --mask_strategy amt, but mask_strategy is random; "
            "leave it out or choose amt");
}

TEST_F(StrategyOptions, MaskedAndThrownPatchesBeyondAll) {
  set("mask_strategy", "amt");
  set("amt_throw_ratio", "0.3");  // with mask_ratio 0.75
  EXPECT_NE(refusal().find("leave none visible"), std::string::npos);
}

TEST_F(StrategyOptions, AnotherStrategyOnResumeIsRefused) {
  set("mask_strategy", "random");
  options_.epochs = 1;
  pretrain(options_);
  set("mask_strategy", "hpm");
  const std::string said = refusal();
  EXPECT_NE(said.find("mask_strategy"), std::string::npos) << said;
  // Nor may a run of its own go on from a checkpoint that has no predictor.
  options_.resume = options_.output_dir;
  options_.output_dir = (temporary_.root() / "other").string();
  options_.epochs = 2;
  try {
    pretrain(options_);
    ADD_FAILURE() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::checkpoint) << error.what();
    EXPECT_NE(std::string(error.what()).find("hpm"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace sgmae
