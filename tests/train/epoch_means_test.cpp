// Oracle: means written out.
#include "sgmae/train/epoch_means.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <cmath>

namespace sgmae {
namespace {

std::vector<at::Tensor> parts(float a, float b) {
  return {at::full({}, a), at::full({}, b)};
}

TEST(EpochMeans, AreMeansOverAnEpoch) {
  EpochMeans sums({"box", "mask"});
  sums.add(0, parts(100, 100));
  sums.add(1, parts(1, 2));
  sums.add(1, parts(3, 6));
  EXPECT_EQ(sums.means().dump(), R"({"box":2.0,"mask":4.0})");
}

TEST(EpochMeans, GoOnFromAState) {
  EpochMeans sums({"box", "mask"});
  sums.add(4, parts(1, 2));
  EpochMeans resumed({"box", "mask"});
  resumed.restore(sums.state(), at::kCPU);
  for (EpochMeans* both : {&sums, &resumed}) both->add(4, parts(3, 6));
  EXPECT_EQ(resumed.means(), sums.means());
}

// Its step will be skipped; and what an older version wrote with it in the sums can be gone on
// from.
TEST(EpochMeans, ABatchThatIsNoNumberDoesNotCount) {
  EpochMeans sums({"box", "mask"});
  sums.add(0, parts(1, 2));
  sums.add(0, parts(NAN, 6));
  sums.add(0, parts(3, 4));
  EXPECT_EQ(sums.means().dump(), R"({"box":2.0,"mask":3.0})");
  EpochMeans older({"box", "mask"});
  older.restore({{"epoch", 0}, {"sums", {"nan", 2.0}}, {"batches", 1.0}}, at::kCPU);
  older.add(1, parts(1, 2));
  EXPECT_EQ(older.means().dump(), R"({"box":1.0,"mask":2.0})");
}

TEST(EpochMeans, BeginWithoutBatches) {
  const EpochMeans none({"box", "mask"});
  EpochMeans resumed({"box", "mask"});
  resumed.restore(none.state(), at::kCPU);
  resumed.add(0, parts(1, 2));
  EXPECT_EQ(resumed.means().dump(), R"({"box":1.0,"mask":2.0})");
}

}  // namespace
}  // namespace sgmae
