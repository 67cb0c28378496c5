// Oracle: a shell, for quoting. That commands understand their lines is in tests/cli/help_test.cpp.
#include "sgmae/report/reproduce.h"

#include <gtest/gtest.h>

#include <cstdio>

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
                  {"optim", "blr", "0.002"},
                  {"mask", "mask_strategy", "random"},
                  {"run", "of_another_version", "5"}};
  EXPECT_EQ(reproducing_command(run),
            "sgmae pretrain --model=mae_vit_tiny_patch4 --norm_pix_loss --data_path='my images' "
            "--no_pin_mem --blr=0.002 --of_another_version=5");
  run.settings = {{"mask", "mask_strategy", "new"}, {"optim", "epochs", "many"}};
  EXPECT_EQ(reproducing_command(run), "sgmae pretrain --mask_strategy=new --epochs=many");
}

TEST(ReproducingCommand, BeginsWhereTheRunBegan) {
  RunRecord run;
  run.settings = {{"optim", "layer_decay", "0.75"}, {"run", "resume", "auto"}};
  run.messages.begun_from = "other run/checkpoint-last.state.safetensors";
  EXPECT_EQ(reproducing_command(run),
            "sgmae finetune --layer_decay=0.75 "
            "--resume='other run/checkpoint-last.state.safetensors'");
}

TEST(ReproducingCommand, NamesEveryOptionOfOtherCommands) {
  RunRecord run;
  run.settings = {
      {"model", "finetune", ""}, {"model", "global_pool", "true"}, {"head", "layer_decay", "0.75"}};
  EXPECT_EQ(reproducing_command(run), "sgmae finetune --global_pool --layer_decay=0.75");
  run.settings.back() = {"probe", "cached_features", "false"};
  EXPECT_EQ(reproducing_command(run), "sgmae linprobe --global_pool --no_cached_features");
  run.settings.push_back({"model", "anchor_scale", "8"});
  run.settings.push_back({"optim", "layer_decay", "1"});
  EXPECT_EQ(reproducing_command(run),
            "sgmae detect --global_pool --no_cached_features --anchor_scale=8 --layer_decay=1");
  run.settings = {{"a", "b", "c"}};
  EXPECT_EQ(reproducing_command(run), "");
}

}  // namespace
}  // namespace sgmae
