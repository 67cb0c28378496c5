// Oracle: torchvision's nms and batched_nms, exactly, on boxes and scores with many ties and
// overlaps that are round numbers (tests/golden/detect.py).
#include "sgmae/detect/nms.h"

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "sgmae/base/error.h"
#include "tests/detect/golden.h"

namespace sgmae {
namespace {

TEST(Nms, KeepsWhatTorchvisionKeeps) {
  const Golden& golden = golden_operations();
  for (const double threshold : {0.3, 0.5, 0.6, 0.7}) {
    EXPECT_TRUE(nms(golden["nms.boxes"], golden["nms.scores"], threshold)
                    .equal(golden[str("nms.kept.", threshold)]))
        << threshold;
    // Among equal scores torchvision's order of groups is that of a sort that is not stable.
    const at::Tensor kept =
        nms_in_groups(golden["nms.boxes"], golden["nms.scores"], golden["nms.groups"], threshold);
    const at::Tensor& theirs = golden[str("nms.in_groups.", threshold)];
    EXPECT_TRUE(std::get<0>(kept.sort()).equal(std::get<0>(theirs.sort()))) << threshold;
    const at::Tensor scores = golden["nms.scores"].index_select(0, kept);
    EXPECT_TRUE(scores.equal(golden["nms.scores"].index_select(0, theirs))) << threshold;
  }
}

TEST(Nms, OfNothingIsNothing) {
  EXPECT_EQ(nms(at::zeros({0, 4}), at::zeros({0}), 0.5).numel(), 0);
}

// Equal boxes without area overlap by 0/0, which exceeds nothing.
TEST(Nms, BoxesWithoutAreaStay) {
  EXPECT_EQ(nms(at::zeros({3, 4}), at::tensor({1.f, 3.f, 2.f}), 0.5).numel(), 3);
}

}  // namespace
}  // namespace sgmae
