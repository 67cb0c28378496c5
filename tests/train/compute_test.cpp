// Oracle: LibTorch's own count of threads; the choice is a definition.
#include "sgmae/train/compute.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace sgmae {
namespace {

TEST(Compute, PrecisionAskedForIsUsed) {
  EXPECT_EQ(choose_precision(PrecisionChoice::fp32), Precision::fp32);
  EXPECT_EQ(choose_precision(PrecisionChoice::bf16), Precision::bf16);
}

TEST(Compute, ThreadsAreSet) {
  use_threads(1);
  EXPECT_EQ(at::get_num_threads(), 1);
  use_threads(0);
  EXPECT_GE(at::get_num_threads(), 1);
  use_threads(1);
}

TEST(Compute, OptionsBind) {
  int threads = 0;
  PrecisionChoice precision = PrecisionChoice::automatic;
  Options options;
  options.section("run");
  declare_compute(options, threads, precision);
  options.set("threads", "3", "--threads");
  options.set("precision", "bf16", "--precision");
  EXPECT_EQ(threads, 3);
  EXPECT_EQ(precision, PrecisionChoice::bf16);
}

}  // namespace
}  // namespace sgmae
