// Oracle: LibTorch's own count of threads; the choice is a definition.
#include "sgmae/train/compute.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "sgmae/base/error.h"
#include "sgmae/base/log.h"
#include "sgmae/base/threads.h"
#include "sgmae/nn/mae.h"
#include "tests/support/other_device.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

TEST(Compute, PrecisionAskedForIsUsed) {
  EXPECT_EQ(choose_precision(PrecisionChoice::fp32), Precision::fp32);
  EXPECT_EQ(choose_precision(PrecisionChoice::bf16), Precision::bf16);
  EXPECT_EQ(choose_precision(PrecisionChoice::fp32, at::kCUDA), Precision::fp32);
}

TEST(Compute, AGpuComputesInBf16) {
  EXPECT_EQ(choose_precision(PrecisionChoice::automatic, at::kCUDA), Precision::bf16);
}

TEST(Compute, AModelIsPlacedOnTheDeviceOfTheOptions) {
  const at::Device device = other_device();
  Mae model(tiny_mae(), 0);
  place(model, {.device = device.str()});
  EXPECT_EQ(model.encoder().device(), device);
  EXPECT_EQ(compute_name(model.encoder()), device.str() + ", bf16");
  place(model, {.precision = PrecisionChoice::fp32});
  use_threads(1);
  EXPECT_EQ(compute_name(model.encoder()), "1 threads, fp32");
  EXPECT_THROW(place(model, {.device = "gpu"}), Error);
}

TEST(Compute, ThreadsAreSet) {
  use_threads(1);
  EXPECT_EQ(at::get_num_threads(), 1);
  use_threads(0);
  EXPECT_GE(at::get_num_threads(), 1);
  set_log_quiet(true);
  use_threads(1 << 20);  // capped, and done at once
  EXPECT_GE(at::get_num_threads(), 2);
  EXPECT_LE(at::get_num_threads(), useful_threads(1 << 20));
  use_threads(1);
}

TEST(Compute, OptionsBind) {
  ComputeOptions compute;
  Options options;
  options.section("run");
  compute.declare(options);
  options.set("device", "cuda:1", "--device");
  options.set("threads", "3", "--threads");
  options.set("precision", "bf16", "--precision");
  EXPECT_EQ(compute.device, "cuda:1");
  EXPECT_EQ(compute.threads, 3);
  EXPECT_EQ(compute.precision, PrecisionChoice::bf16);
  compute.threads = -1;
  EXPECT_THROW(compute.check(), Error);
}

}  // namespace
}  // namespace sgmae
