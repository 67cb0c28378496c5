// Oracle: what each command needs, written out by hand. That the commands do what is promised here,
// tests/cli/inspect_test.cpp shows.
#include "sgmae/checkpoint/uses.h"

#include <gtest/gtest.h>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

std::string complaint(Use use, const VitConfig& config, bool decoder) {
  try {
    check_use(use, config, decoder, false, "a.pth");
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), use == Use::reconstruct && !decoder && config.channels == 3
                                ? ExitCode::checkpoint
                                : ExitCode::usage);
    return error.what();
  }
}

TEST(Uses, EveryCommandTakesAPlainEncoderButReconstruct) {
  for (const UseInfo& info : uses())
    EXPECT_EQ(complaint(info.use, {}, false) == "", info.use != Use::reconstruct) << info.command;
  for (const UseInfo& info : uses()) EXPECT_EQ(complaint(info.use, {}, true), "") << info.command;
}

TEST(Uses, ImagesHaveOneOrThreeChannels) {
  VitConfig config;
  config.channels = 1;
  EXPECT_EQ(complaint(Use::embed, config, false), "");
  config.channels = 4;
  for (const UseInfo& info : uses())
    EXPECT_EQ(complaint(info.use, config, true).find("4 channels") != std::string::npos,
              info.use != Use::forward)
        << info.command;
}

TEST(Uses, AProbeNeedsAFinalNorm) {
  VitConfig config;
  config.pooling = Pooling::mean;
  EXPECT_NE(complaint(Use::linprobe, config, false).find("no final norm"), std::string::npos);
  EXPECT_EQ(complaint(Use::finetune, config, false), "");
}

TEST(Uses, NeighboursAndProbesLookAtTheClassToken) {
  VitConfig config;
  config.class_token = false;
  for (const UseInfo& info : uses())
    EXPECT_EQ(complaint(info.use, config, true).find("no class token") != std::string::npos,
              info.use == Use::knn || info.use == Use::linprobe)
        << info.command;
}

}  // namespace
}  // namespace sgmae
