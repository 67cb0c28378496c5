// Oracle: the argument lists of MAE's main_*.py and submitit_*.py, and the rule that one process
// trains.
#include "sgmae/train/launch_options.h"

#include <gtest/gtest.h>

#include <functional>

namespace sgmae {
namespace {

std::string complaint(const std::function<void(LaunchOptions&)>& change) {
  LaunchOptions options;
  change(options);
  try {
    options.check(2);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    return error.what();
  }
  return "";
}

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
  EXPECT_EQ(declared.all().size(), 11u);
  EXPECT_NO_THROW(options.check(1)) << "nodes and GPUs are warned about, not refused";
  for (const OptionInfo& option : declared.all())
    EXPECT_TRUE(option.changeable) << option.name << ": results do not depend on it";
}

TEST(LaunchOptions, RefusesToBeOneOfSeveralProcesses) {
  EXPECT_EQ(complaint([](LaunchOptions&) {}), "");
  const std::string several = complaint([](LaunchOptions& o) { o.world_size = 8; });
  EXPECT_NE(several.find("one process"), std::string::npos) << several;
  EXPECT_NE(several.find("--accum_iter 16"), std::string::npos) << "8 times as many batches a step";
  EXPECT_NE(complaint([](LaunchOptions& o) { o.world_size = 0; }).find("not 0"), std::string::npos);
  EXPECT_NE(complaint([](LaunchOptions& o) { o.local_rank = 3; }).find("local_rank is 3"),
            std::string::npos);
}

}  // namespace
}  // namespace sgmae
