// Oracle: the file system itself.
#include "sgmae/train/run_folder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "sgmae/base/file.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

struct ExampleOptions : OptimOptions, RunOptions {
  void declare(Options& o) {
    OptimOptions::declare(o, "");
    RunOptions::declare(o, "eval_every", "");
  }
};

const RunKind example{"example", "run", "[optim]", {"checkpoints", "maps", "figures"}};

class RunFolderTest : public ::testing::Test {
 protected:
  void SetUp() override { options_.output_dir = (root_ / "run").string(); }

  std::string refusal() const {
    try {
      open_run_folder(options_, example);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      return error.what();
    }
    return "";
  }

  void begin() const {
    describe_run(open_run_folder(options_, example), toml_of(options_), 0, {{"threads", 2}});
  }

  const TemporaryFolder folder_;
  const fs::path root_ = folder_.root();
  ExampleOptions options_;
};

TEST_F(RunFolderTest, IsCreatedWithItsParts) {
  const RunFolder folder = open_run_folder(options_, example);
  EXPECT_FALSE(folder.existed);
  EXPECT_TRUE(fs::is_directory(folder.checkpoints()));
  EXPECT_TRUE(fs::is_directory(folder.maps()));
  EXPECT_TRUE(fs::is_directory(folder.figures()));
  describe_run(folder, toml_of(options_), 0, {{"threads", 2}});
  const auto environment = nlohmann::json::parse(read_text(folder.environment()));
  EXPECT_EQ(environment["seed"], 0);
  EXPECT_EQ(environment["threads"], 2);
  EXPECT_NE(read_text(folder.config()).find("epochs = 400"), std::string::npos);
}

TEST_F(RunFolderTest, OpensAgainForTheSameRun) {
  begin();
  EXPECT_TRUE(open_run_folder(options_, example).existed);
  options_.save_every = 7;
  options_.log_every = 7;
  EXPECT_TRUE(open_run_folder(options_, example).existed) << "these do not change what comes out";
}

TEST_F(RunFolderTest, RefusesADifferentRunAndNamesTheDifference) {
  begin();
  options_.epochs = 9;
  EXPECT_NE(refusal().find("epochs is 400 there, 9 here"), std::string::npos) << refusal();
  options_.epochs = 400;
  options_.seed = 1;
  EXPECT_NE(refusal().find("seed is 0 there, 1 here"), std::string::npos);
}

TEST_F(RunFolderTest, RefusesARunOfAnotherKind) {
  begin();
  const RunKind other{"other", "linear probe", "[probe]", {}};
  try {
    open_run_folder(options_, other);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("not a linear probe"), std::string::npos);
  }
}

TEST_F(RunFolderTest, ResumeNoneNeverTouchesAnOldRun) {
  begin();
  options_.resume = "none";
  EXPECT_NE(refusal(), "");
}

TEST_F(RunFolderTest, RefusesAFolderWithTracesOfAnotherProgram) {
  fs::create_directories(options_.output_dir);
  std::ofstream(fs::path(options_.output_dir) / "log.txt") << "{}\n";
  EXPECT_NE(refusal(), "");
}

TEST_F(RunFolderTest, IsOneProcesssAtATime) {
  {
    const RunFolder open = open_run_folder(options_, example);
    EXPECT_NE(refusal().find("(sgmae example, since "), std::string::npos) << refusal();
    EXPECT_NE(refusal().find(str("process ", getpid(), " on ")), std::string::npos) << refusal();
    const RunFolder copy = open;  // the last one gives it back
  }
  EXPECT_EQ(refusal(), "");
}

TEST_F(RunFolderTest, LosesWhatAKilledRunWasWriting) {
  begin();
  const fs::path checkpoints = root_ / "run" / "checkpoints";
  write_file(checkpoints / "epoch-0004.safetensors.part77", "half");
  write_file(checkpoints.parent_path() / "config.toml.part77", "half");
  write_file(checkpoints.parent_path() / "notes.part", "the user's");
  open_run_folder(options_, example);
  EXPECT_FALSE(fs::exists(checkpoints / "epoch-0004.safetensors.part77"));
  EXPECT_FALSE(fs::exists(checkpoints.parent_path() / "config.toml.part77"));
  EXPECT_TRUE(fs::exists(checkpoints.parent_path() / "notes.part"));
}

TEST_F(RunFolderTest, RefusesAFile) {
  fs::create_directories(root_);
  std::ofstream(options_.output_dir) << "text";
  EXPECT_NE(refusal().find("is a file"), std::string::npos);
}

TEST_F(RunFolderTest, SaysWhenItCannotWrite) {
  options_.output_dir = "/proc/sgmae-cannot-be-here";  // refuses root too
  EXPECT_NE(refusal().find("--output_dir"), std::string::npos);
}

TEST_F(RunFolderTest, TrimmedLogKeepsEarlierEpochs) {
  fs::create_directories(root_);
  const fs::path log = root_ / "log.txt";
  const std::string two = "{\"train_loss\":1.0,\"epoch\":1}\n{\"epoch\":2}\n";
  write_file(log, two + "{\"epoch\":3}\n{\"epo");
  trim_log(log, 2);
  EXPECT_EQ(read_text(log), two);
  // Of an older version, which counted from 0.
  write_file(log, "{\"train_loss\":1.0,\"epoch\":0}\n{\"epoch\":1}\n{\"epoch\":2}\n");
  trim_log(log, 2);
  EXPECT_EQ(read_text(log), two);
  trim_log(root_ / "absent.txt", 2);
}

TEST(AppendLog, LosesALineRatherThanTheRun) {
  testing::internal::CaptureStderr();
  append_log("/dev/full", {{"epoch", 3}});
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("No space left on device"), std::string::npos) << said;
}

}  // namespace
}  // namespace sgmae
