// Oracle: the argument lists of MAE's main_*.py and submitit_*.py.
#include "sgmae/parallel/launch_options.h"

#include <gtest/gtest.h>

namespace sgmae {
namespace {

TEST(LaunchOptions, TakesWhatMaesScriptsAndLaunchersTake) {
  LaunchOptions options;
  Options declared;
  options.declare(declared);
  for (const auto& [key, text] :
       std::vector<std::pair<std::string, std::string>>{{"nodes", "8"},
                                                        {"ngpus", "8"},
                                                        {"timeout", "4320"},
                                                        {"partition", "learnfair"},
                                                        {"comment", "deadline"},
                                                        {"use_volta32", "true"},
                                                        {"world_size", "1"},
                                                        {"local_rank", "0"},
                                                        {"dist_on_itp", "true"},
                                                        {"dist_url", "tcp://127.0.0.1:2345"},
                                                        {"dist_backend", "gloo"}}) {
    declared.set(key, text, "--" + key);
  }
  EXPECT_EQ(declared.all().size(), 12u) << "and process_timeout";
  for (const OptionInfo& option : declared.all())
    EXPECT_TRUE(option.changeable) << option.name << ": results do not depend on it";
}

TEST(LaunchOptions, SayWhatKeepsTheEffectiveBatch) {
  LaunchOptions options;
  options.nodes = 2, options.ngpus = 8;
  const auto warning = [&](int processes) {
    testing::internal::CaptureStderr();
    options.check(3, processes);
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_NE(warning(1).find("--accum_iter 48"), std::string::npos) << warning(1);
  EXPECT_NE(warning(4).find("--accum_iter 12"), std::string::npos) << warning(4);
  EXPECT_EQ(warning(16), "");
  EXPECT_NE(warning(3).find("another"), std::string::npos) << warning(3);
  EXPECT_THROW(
      {
        options.process_timeout = 0;
        options.membership();
      },
      Error);
}

}  // namespace
}  // namespace sgmae
