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

TEST(LaunchOptions, SayWhetherGpusMeet) {
  LaunchOptions options;
  Options declared;
  options.declare(declared);
  EXPECT_TRUE(options.membership().gpus_meet) << "as MAE's scripts have it";
  declared.set("dist_backend", "gloo", "--dist_backend");
  EXPECT_FALSE(options.membership().gpus_meet);
  EXPECT_THROW(declared.set("dist_backend", "mpi", "--dist_backend"), Error);
}

TEST(LaunchOptions, KeepTheEffectiveBatch) {
  const auto kept = [&](int nodes, int ngpus, std::int64_t accum_iter, int processes) {
    LaunchOptions options;
    options.nodes = nodes, options.ngpus = ngpus;
    const std::int64_t passes = options.keep_batch(accum_iter, processes);
    EXPECT_EQ(options.keep_batch(passes, processes), passes) << "what is kept is asked no more";
    return passes;
  };
  EXPECT_EQ(kept(2, 8, 3, 1), 48);
  EXPECT_EQ(kept(2, 8, 3, 4), 12);
  EXPECT_EQ(kept(2, 8, 3, 16), 3);
  EXPECT_EQ(kept(2, 8, 3, 3), 16);
  EXPECT_EQ(kept(8, 0, 1, 1), 64) << "MAE's launcher asks for 8 GPUs of each machine";
  EXPECT_EQ(kept(0, 4, 1, 1), 8) << "and for 2 machines";
  EXPECT_EQ(kept(0, 0, 5, 7), 5) << "not asked";
  EXPECT_EQ(kept(1, 1, 5, 7), 5) << "as configurations of older versions say";
  EXPECT_THROW(kept(2, 8, 1, 3), Error) << "16 batches among 3 processes";
  LaunchOptions options;
  EXPECT_THROW(
      {
        options.process_timeout = 0;
        options.membership();
      },
      Error);
}

}  // namespace
}  // namespace sgmae
