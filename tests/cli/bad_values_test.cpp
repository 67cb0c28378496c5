// Values that nobody should give, to the commands that test, extract and analyse, run as a user
// runs them. Oracle: the exit codes of docs/architecture.md. None of these may look like a bug of
// ours.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "cli/command.h"
#include "sgmae/checkpoint/write_model.h"
#include "sgmae/nn/mae.h"
#include "tests/data/folder.h"
#include "tests/eval/striped_data.h"
#include "tests/support/program.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

void save(const fs::path& path, MaeConfig config) {
  ModelInfo info;
  info.mean = info.std = std::vector<float>(static_cast<std::size_t>(config.channels), 0.5f);
  save_mae(path, Mae(config, 1), info);
}

class BadValues : public testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);  // run_program_in
    fs::create_directories(folder_.path("data"));
    striped::write_part(folder_.path("data"), "train", 12, true);
    striped::write_part(folder_.path("data"), "t10k", 6, true);
    save(folder_.path("m.safetensors"), tiny_mae());
  }

  // Ends well, or with a sentence and the exit code of a user's error.
  void expect_sense(const std::string& arguments) const {
    const Outcome outcome = run_program_in(folder_.path(), arguments);
    const std::string command = "sgmae " + arguments.substr(0, arguments.find(' ')) + ": ";
    const std::size_t begin = outcome.err.rfind("\n" + command);
    const bool sentence = outcome.err.starts_with(command) || begin != std::string::npos;
    EXPECT_TRUE(outcome.code == 0 || (outcome.code >= 2 && outcome.code <= 5 && sentence))
        << arguments << ": exit " << outcome.code << "\n"
        << outcome.err;
    fs::remove_all(folder_.path("out"));
  }
  void expect(int code, const std::string& said, const std::string& arguments) const {
    const Outcome outcome = run_program_in(folder_.path(), arguments + " --threads 1");
    EXPECT_EQ(outcome.code, code) << arguments << "\n" << outcome.err;
    EXPECT_NE(outcome.err.find(said), std::string::npos) << arguments << "\n" << outcome.err;
    fs::remove_all(folder_.path("out"));
  }

  // Every option of the command that takes a number, with numbers that hardly any can take.
  void try_all(const std::string& line, const std::set<std::string>& without = {}) const {
    const std::string name = line.substr(0, line.find(' '));
    for (const CommandEntry& entry : commands()) {
      if (entry.name != name) continue;
      const Command command = entry.make();
      int tried = 0;
      for (const OptionInfo& option : command.options.all()) {
        if ((option.type != "integer" && option.type != "number") || without.count(option.name))
          continue;
        for (const char* value : {"-1", "0", "1", "65536", "9223372036854775807", "1e300", "1e-300",
                                  "0.999999", "nan", "-inf"}) {
          // Sensible, only slow: a run of so many epochs, a thread for each of these.
          const std::string text = value;
          const bool slow = (option.name == "epochs" && text.size() > 4 && text[0] != '0') ||
                            (option.name == "threads" && text == "65536");
          if (slow) continue;
          expect_sense(line + " --" + option.name + "=" + value);
          ++tried;
        }
      }
      EXPECT_GE(tried, 40) << line;
    }
  }

  const Folder folder_;
};

constexpr const char* kData = " --data_path data --num_workers 0 --threads 1 ";
constexpr const char* kModel = " --checkpoint m.safetensors ";

TEST_F(BadValues, OfKnn) {
  try_all(str("knn", kModel, kData, "--k 2 --output_dir out"));
}
TEST_F(BadValues, OfExtract) {
  try_all(str("embed", kModel, kData, "--output out.safetensors"));
}
TEST_F(BadValues, OfAnalyze) {
  try_all(str("analyze", kModel, kData,
              "--output_dir out --images 3 --figure_images 1 "
              "--guide_layer -1"));
}
TEST_F(BadValues, OfLinprobe) {
  const std::string line = str("linprobe", kModel, kData, "--output_dir out");
  try_all(line + " --epochs 1 --warmup_epochs 0 --batch_size 6");
  expect_sense(line + " --cached_features --l2=-1e300");
  for (const char* l2 : {"0", "1e300", "1e-300"})
    expect_sense(line + " --cached_features --l2=" + l2);
}
TEST_F(BadValues, OfFinetune) {
  try_all(
      str("finetune --model vit_tiny_patch8 --input_size 16 --dim 16 --depth 1 --heads 2 "
          "--epochs 1 --warmup_epochs 0 --batch_size 6 --output_dir out",
          kData));
}

TEST_F(BadValues, AreRefusedWithTheReason) {
  const auto line = [](const char* command, const std::string& more) {
    return str(command, kModel, "--data_path data --num_workers 0 ", more);
  };
  expect(2, "temperature", line("knn", "--temperature=-1"));
  expect(2, "max_train", line("knn", "--max_train=-1"));
  expect(0, "k is 12, not 13", line("knn", "--k 13"));
  expect(2, "plain_k", line("knn", "--k 2 --plain_k 1,0"));
  expect(2, "num_workers", line("knn", "--k 2 --num_workers=-1"));
  expect(2, "input height",
         "finetune --data_path data --output_dir out --batch_size 4 --input_size 65536");
  expect(2, "number of patches",
         "finetune --data_path data --output_dir out --batch_size 4 --input_size 32768 "
         "--patch_size 2");
  expect(2, "dim must not be negative", "finetune --data_path data --output_dir out --dim=-4");
  expect(2, "weight_decay", line("linprobe", "--output_dir out --weight_decay 1e300"));
  expect(2, "learning rate", line("linprobe", "--output_dir out --blr 1e300"));
  expect(5, "",
         line("linprobe",
              "--output_dir out --blr 1e36 --batch_size 4 --epochs 2 "
              "--warmup_epochs 0"));
  expect(2, "mask_ratio", line("analyze", "--output_dir out --mask_ratio 0"));
  expect(2, "visible", line("analyze", "--output_dir out --mask_ratio 0.9"));  // of 4 patches
  // More hints than visible patches: as many as there are.
  expect(0, "",
         line("analyze",
              "--output_dir out --mask_ratio 0.7 --hint_ratio 0.9 --guide_layer -1 "
              "--figure_images 1 --images 3"));
}

TEST_F(BadValues, DataThatCannotBeUsed) {
  folder_.image("one/train/a/1.png");
  folder_.image("one/test/a/1.png");
  folder_.image("flat/train/1.png");
  folder_.image("flat/test/1.png");
  folder_.image("single/1.png");
  for (const char* command : {"knn --k 1", "linprobe --output_dir out --batch_size 2",
                              "linprobe --output_dir out --cached_features",
                              "finetune --output_dir out --batch_size 1"}) {
    const std::string line = str(command, kModel, "--num_workers 0 --data_path ");
    expect(3, "all have one class", line + "one");
    expect(3, "have no label", line + "flat");
    expect(3, "single", line + "single");
  }
  expect(3, "at least two", str("analyze --output_dir out", kModel, "--data_path single"));
  expect(0, "wrote [1, 16]", str("embed --output out.npy", kModel, "--data_path single"));
  expect(2, "fewer than one step",
         str("finetune --output_dir out", kModel, "--data_path data --batch_size 13"));
}

// Images have one or three channels; a model for other bands is refused with a sentence.
TEST_F(BadValues, AModelOfFourChannels) {
  MaeConfig config = tiny_mae();
  config.channels = 4;
  save(folder_.path("four.safetensors"), config);
  for (const char* command :
       {"knn --k 1", "linprobe --output_dir out --batch_size 2",
        "linprobe --output_dir out --cached_features", "finetune --output_dir out --batch_size 2",
        "analyze --output_dir out", "embed --output out.npy"}) {
    const Outcome outcome =
        run_program_in(folder_.path(), str(command, " --checkpoint four.safetensors", kData));
    EXPECT_TRUE(outcome.code == 2 || outcome.code == 4) << command << " " << outcome.code;
    EXPECT_NE(outcome.err.find("channel"), std::string::npos) << command << "\n" << outcome.err;
    EXPECT_FALSE(fs::exists(folder_.path("out"))) << command;
  }
}

}  // namespace
}  // namespace sgmae
