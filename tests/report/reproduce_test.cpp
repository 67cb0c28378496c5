// Oracles: a shell, for quoting; the options read back, for the command.
#include "sgmae/report/reproduce.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

TEST(ShellWord, IsWhatTheShellReads) {
  for (const std::string text :
       {"plain", "", "two words", "it's", "$HOME `x` \\ \"q\" *;&", "-2", "é"}) {
    FILE* pipe = popen(("printf %s " + shell_word(text)).c_str(), "r");
    char read[64] = "";
    const std::size_t count = fread(read, 1, sizeof read - 1, pipe);
    pclose(pipe);
    EXPECT_EQ(std::string(read, count), text);
  }
  EXPECT_EQ(shell_word("runs/a-1.5"), "runs/a-1.5");
}

TEST(ReproducingCommand, NamesWhatDiffersFromTheDefaults) {
  RunRecord run;
  run.settings = {{"model", "model", "mae_vit_tiny_patch4"},
                  {"model", "norm_pix_loss", "true"},
                  {"data", "data_path", "my images"},
                  {"data", "pin_mem", "false"},
                  {"optim", "epochs", "400"},
                  {"optim", "blr", "0.002"}};
  EXPECT_EQ(reproducing_command(run),
            "sgmae pretrain --model mae_vit_tiny_patch4 --norm_pix_loss --data_path 'my images' "
            "--no_pin_mem --blr 0.002");
}

TEST(ReproducingCommand, PointsToTheConfigurationOfOtherCommands) {
  RunRecord run;
  EXPECT_EQ(reproducing_command(run), "");
  for (const Setting& strange :
       {Setting{"head", "layer_decay", "0.75"}, Setting{"optim", "epochs", "many"}}) {
    run.settings = {strange};
    EXPECT_NE(reproducing_command(run).find("--config config.toml"), std::string::npos);
  }
}

}  // namespace
}  // namespace sgmae
