// What the program says about itself, and how it answers what cannot be meant.
// Oracles: its own declarations, which the examples must fit.
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "cli/command.h"
#include "sgmae/base/instruction_set.h"
#include "sgmae/base/version.h"
#include "sgmae/image/draw.h"
#include "sgmae/image/encode.h"
#include "sgmae/report/reproduce.h"
#include "sgmae/train/checkpoint.h"
#include "tests/support/program.h"
#include "tests/support/temporary_folder.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

class Help : public testing::Test {
 protected:
  Outcome run(const std::string& arguments) const { return run_program_in(root_, arguments); }
  void expect(const std::string& arguments, int code, const std::string& message) const {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, code) << arguments << "\n" << outcome.err;
    EXPECT_NE(outcome.err.find(message), std::string::npos) << arguments << "\n" << outcome.err;
  }

  const TemporaryFolder folder_;
  const fs::path root_ = folder_.root();
};

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word && word != ">";) words.push_back(word);
  return words;
}

TEST_F(Help, ExamplesAreUnderstoodByTheCommandTheyName) {
  for (const CommandEntry& entry : commands()) {
    EXPECT_FALSE(std::string(entry.summary).empty());
    for (const Example& example : entry.examples) {
      std::vector<std::string> words = words_of(example.arguments);
      Command command = command_named(words.at(0)).make();
      words.erase(words.begin());
      ParsedArguments parsed;
      EXPECT_NO_THROW(parsed = parse_arguments(command, words)) << example.arguments;
      if (std::string(example.arguments).starts_with("launch")) {
        Command launched = command_named(parsed.positional.at(0)).make();
        EXPECT_NO_THROW(
            parse_arguments(launched, {parsed.positional.begin() + 1, parsed.positional.end()}));
      } else {
        EXPECT_TRUE(std::string(example.arguments).starts_with(entry.name)) << example.arguments;
      }
    }
  }
}

// What a report says would make a run again makes its config.toml again.
TEST_F(Help, TheLineOfAReportIsUnderstood) {
  for (const char* name : {"pretrain", "finetune", "linprobe", "detect", "segment"}) {
    Command began = command_named(name).make(), again = command_named(name).make();
    for (const auto& [key, value] :
         {std::pair{"data_path", "my images"}, {"output_dir", "--runs"}, {"pin_mem", "false"}})
      began.options.set(key, value, "test");
    const std::string config = began.options.to_toml();
    fs::create_directories(root_ / name);
    write_file(root_ / name / "config.toml", config);
    const std::string line = reproducing_command(read_run(root_ / name));
    wordexp_t words{};
    ASSERT_EQ(wordexp(line.c_str(), &words, 0), 0) << line;
    const std::vector<std::string> given(words.we_wordv, words.we_wordv + words.we_wordc);
    wordfree(&words);
    EXPECT_EQ(given.at(1), name);
    EXPECT_NO_THROW(parse_arguments(again, {given.begin() + 2, given.end()})) << line;
    EXPECT_EQ(again.options.to_toml(), config) << line;
  }
}

TEST_F(Help, NamesEveryOptionWithinEightyColumns) {
  for (const CommandEntry& entry : commands()) {
    const Command command = entry.make();
    const std::string text = help_text(entry, command);
    EXPECT_EQ(run(str("help ", entry.name)).out, text);
    EXPECT_EQ(run(str(entry.name, " --help")).out, text);
    for (const OptionInfo& option : command.options.all())
      EXPECT_NE(text.find("  --" + option.name), std::string::npos) << option.name;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      const auto letters =
          std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xc0) != 0x80; });
      const bool one_word = line.find(' ', line.find_first_not_of(' ')) == std::string::npos;
      EXPECT_TRUE(letters <= 80 || one_word) << line;
    }
  }
}

TEST_F(Help, OfTheProgramGoesWhereItIsLookedFor) {
  const std::string text = overview();
  for (const CommandEntry& entry : commands())
    EXPECT_NE(text.find(str("\n  ", entry.name, " ")), std::string::npos) << entry.name;
  for (const char* asked : {"help", "--help", "-h"}) {
    EXPECT_EQ(run(asked).out, text) << asked;
    EXPECT_EQ(run(asked).code, 0) << asked;
  }
  const Outcome unasked = run("");
  EXPECT_EQ(unasked.code, 2);
  EXPECT_EQ(unasked.err, text);
  EXPECT_EQ(unasked.out, "");
  expect("help pretrian", 2, "did you mean 'pretrain'");
}

TEST_F(Help, TheVersionSaysWhatWasBuilt) {
  const std::string said = run("--version").out;
  for (const std::string& line : {str("sgmae ", version, "\n"), str("LibTorch "), str("compiler "),
                                  str("instructions ", name_of(instruction_set()), " ")})
    EXPECT_NE(said.find(line), std::string::npos) << said;
  for (const char* library : {"libheif", "libavif", "libjxl", "OpenJPEG", "Apache Arrow"})
    EXPECT_NE(said.find(library), std::string::npos) << said;  // there, or said to be missing
  EXPECT_EQ(said.find("\ncommit ") != std::string::npos, *build_commit != '\0');
}

TEST_F(Help, AnArgumentThatACommandDoesNotTakeIsNamedAsAnOption) {
  fs::create_directories(root_ / "photos");
  save_mae(root_ / "model.safetensors", Mae(tiny_mae(), 1), {});
  fs::create_directories(root_ / "run");
  save_mae(root_ / "run/checkpoint-best.safetensors", Mae(tiny_mae(), 1), {});
  expect("pretrain photos", 2, "images are named by --data_path photos");
  expect("knn photos", 2, "images are named by --data_path photos");
  expect("knn run", 2, "a model is named by --checkpoint run");
  expect("finetune model.safetensors", 2, "a model is named by --checkpoint model.safetensors");
  expect("pretrain fashion_mnist_mae", 2, "a recipe is named by --config fashion_mnist_mae");
  expect("pretrain -epochs 3", 2, "write --epochs");
  expect("options now", 2, "options begin with --");
  expect("inspect --checkpoint run", 2,
         "--checkpoint is no option of this command, which takes paths alone: FILE");
}

TEST_F(Help, ValuesOfChoicesAreUnderstoodAndTaught) {
  expect("pretrain --data_path nowhere --mask-strategy self-guided", 3, "nowhere");
  expect("pretrain --mask_strategy self_guded", 2, "did you mean 'self_guided'?");
}

TEST_F(Help, ARecipeOfAnotherCommandIsSaidToBeThat) {
  expect("pretrain --config finetune_vit_base_in1k --data_path flowers", 2,
         "is a recipe of sgmae finetune; write sgmae finetune --config finetune_vit_base_in1k "
         "--data_path flowers");
  expect("pretrain --config finetune_vit_base_in1k --checkpoint x", 2,
         "write sgmae finetune --config finetune_vit_base_in1k --checkpoint x");
  expect("finetune --config fashion_mnist_mae --checkpoint x", 2,
         "is a recipe of sgmae pretrain; write sgmae pretrain --config fashion_mnist_mae");
  write_file(root_ / "own.toml", "[mask]\nmask_ratio = 0.6\n");
  expect("knn --config own.toml", 2, "unknown option");
  expect("segment --config own.toml", 2, "own.toml is a recipe of sgmae pretrain");
  write_file(root_ / "none.toml", "[mask]\nmask_ratoi = 0.6\n");
  expect("pretrain --config none.toml", 2, "did you mean 'mask.mask_ratio'");
  fs::create_directories(root_ / "run");
  write_file(root_ / "run/config.toml", "[optim]\nepochs = 2\n");
  expect("pretrain --config run", 2, "write --config run/config.toml");
  write_file(root_ / "run/run.json", "{}");
  expect("inspect run", 4, "run: a run folder in which no model is left");
}

TEST_F(Help, AFolderAndAFileAreNotTakenForEachOther) {
  for (int i = 0; i < 2; ++i) {
    fs::create_directories(root_ / "photos");
    write_png(root_ / "photos" / str(i, ".png"), blank_image({8, 8}, {9, 9, 9}));
  }
  MaeConfig config = tiny_mae();
  config.channels = 3;
  ModelInfo model_info;
  model_info.mean = model_info.std = {0.5f, 0.5f, 0.5f};
  save_mae(root_ / "model.safetensors", Mae(config, 1), model_info);
  write_file(root_ / "list.txt", "photos/0.png 0\nphotos/1.png 1\n");
  expect("mask photos --checkpoint model.safetensors", 2, "photos is a folder; name image files");
  expect("reconstruct photos --checkpoint model.safetensors", 2,
         "photos is a folder; name image files");
  expect("knn --checkpoint model.safetensors --data_path list.txt --data_root .", 3,
         "there is no list for 'test' beside list.txt; expected test.txt, or name both files: "
         "--train_list and --test_list");
  expect("segment --data_path list.txt", 3, "list.txt is a file and no folder; expected ADE20K");
  expect("inspect photos", 4, "photos is a folder without model.safetensors");
  expect("report model.safetensors", 2, "model.safetensors is a file; name the folder of its run");
  expect("pretrain --data_path list.txt --data_format imagefolder --batch_size 1", 3,
         "list.txt is not a folder; for a list of images leave out --data_format");
}

}  // namespace
}  // namespace sgmae
