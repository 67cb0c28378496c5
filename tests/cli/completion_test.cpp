// Oracle: bash, which runs the script, and the declarations.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>

#include "sgmae/base/file.h"
#include "tests/support/program.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

class Completion : public testing::Test {
 protected:
  void SetUp() override {
    const Outcome outcome = run_program_in(root_, "completion bash");
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    write_file(root_ / "script", outcome.out);
  }

  // What may stand in place of the last of these words.
  std::set<std::string> after(const std::string& words) const {
    write_file(root_ / "ask", str("cd ", root_.string(), "\nsource ./script\nCOMP_WORDS=(", words,
                                  ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_sgmae_words\n",
                                  "printf '%s\\n' \"${COMPREPLY[@]}\" > answer\n"));
    EXPECT_EQ(std::system(str("bash ", (root_ / "ask").string()).c_str()), 0);
    std::set<std::string> found;
    std::istringstream lines(read_text(root_ / "answer"));
    for (std::string line; std::getline(lines, line);)
      if (!line.empty()) found.insert(line);
    return found;
  }
  using Words = std::set<std::string>;

  const TemporaryFolder folder_;
  const fs::path root_ = folder_.root();
};

TEST_F(Completion, OfCommandsOptionsAndTheirValues) {
  EXPECT_EQ(after("sgmae pre"), Words{"pretrain"});
  EXPECT_EQ(after("sgmae --v"), Words{"--version"});
  EXPECT_EQ(after("sgmae pretrain --norm_"), Words{"--norm_pix_loss"});
  EXPECT_EQ(after("sgmae pretrain --norm-p"), Words{"--norm_pix_loss"}) << "dashes are understood";
  EXPECT_EQ(after("sgmae pretrain --mask_strategy self"), Words{"self_guided"});
  EXPECT_EQ(after("sgmae pretrain --mask_strategy = self"), Words{"self_guided"})
      << "as bash splits --mask_strategy=self";
  EXPECT_EQ(after("sgmae knn --features ''"), (Words{"mean", "cls"}));
  EXPECT_EQ(after("sgmae help coco"), Words{"coco-eval"});
  EXPECT_EQ(after("sgmae data ''"), (Words{"pack", "stats", "verify"}));
  EXPECT_EQ(after("sgmae launch --nproc 2 -- pretr"), Words{"pretrain"});
  EXPECT_EQ(after("sgmae launch --nproc 2 -- pretrain --norm_"), Words{"--norm_pix_loss"});
}

TEST_F(Completion, OfRecipesByNameOrFile) {
  write_file(root_ / "fashion.toml", "");
  write_file(root_ / "fashion.txt", "");
  EXPECT_EQ(after("sgmae pretrain --config fashion"),
            (Words{"fashion_mnist_mae", "fashion_mnist_sgmae", "fashion.toml"}));
}

TEST_F(Completion, LeavesPathsToTheShell) {
  for (const char* words : {"sgmae pretrain --data_path ''", "sgmae inspect ''",
                            "sgmae embed --checkpoint x ''", "sgmae data pack ''"})
    EXPECT_EQ(after(words), Words{}) << words;
  EXPECT_FALSE(after("sgmae pretrain --norm_pix_loss ''").empty())
      << "a flag takes no value, and pretrain no paths: the options";
}

TEST_F(Completion, IsToldForWhichShell) {
  EXPECT_EQ(run_program_in(root_, "completion fish").code, 2);
  const std::string zsh = run_program_in(root_, "completion zsh").out;
  EXPECT_TRUE(zsh.starts_with("#compdef sgmae\n"));
  EXPECT_NE(zsh.find("bashcompinit"), std::string::npos);
}

}  // namespace
}  // namespace sgmae
