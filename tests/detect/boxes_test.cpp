// Oracle: torchvision's BoxCoder and clip_boxes_to_image (tests/golden/detect.py); overlaps of
// boxes whose areas can be counted.
#include "sgmae/detect/boxes.h"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "tests/detect/golden.h"

namespace sgmae {
namespace {

at::Tensor boxes(std::initializer_list<float> values) {
  return at::tensor(std::vector<float>(values)).view({-1, 4});
}

const BoxCoding coding{{10, 10, 5, 5}};

// 1e-6: the same fp32 formulas.
TEST(Boxes, AreCodedAsTorchvisions) {
  const Golden& golden = golden_operations();
  EXPECT_LT(relative_error(coding.encode(golden["coding.boxes"], golden["coding.references"]),
                           golden["coding.encoded"]),
            1e-6);
  const at::Tensor decoded = coding.decode(golden["coding.deltas"], golden["coding.references"]);
  EXPECT_LT(relative_error(decoded, golden["coding.decoded"]), 1e-6);
  EXPECT_LT(relative_error(clip(decoded.view({-1, 4}), 60, 80), golden["coding.clipped"]), 1e-6);
}

TEST(Boxes, ComeBackFromTheirCode) {
  const Golden& golden = golden_operations();
  const at::Tensor there = coding.encode(golden["coding.boxes"], golden["coding.references"]);
  EXPECT_LT(
      relative_error(coding.decode(there, golden["coding.references"]), golden["coding.boxes"]),
      1e-5);
}

TEST(Boxes, OverlapByTheirAreas) {
  const at::Tensor a = boxes({0, 0, 4, 4, 2, 2, 6, 4, 5, 5, 5, 9});
  const at::Tensor b = boxes({0, 0, 4, 4, 4, 0, 8, 4, 5, 5, 5, 9});
  // 16 in common of 16; 4 of 20 and 4 of 20; what has no area overlaps nothing, itself neither.
  const at::Tensor expected =
      at::tensor(std::vector<float>{1, 0, 0, 4.f / 20, 4.f / 20, 0, 0, 0, 0}).view({3, 3});
  EXPECT_LT(relative_error(overlap(a, b), expected), 1e-7);
}

TEST(Boxes, CoverageIsOfTheFirstBoxesOwnArea) {
  const at::Tensor small = boxes({2, 2, 4, 4}), large = boxes({0, 0, 3, 10});
  EXPECT_FLOAT_EQ(coverage(small, large).item<float>(), 0.5f);
  EXPECT_FLOAT_EQ(coverage(large, small).item<float>(), 2.f / 30);
}

}  // namespace
}  // namespace sgmae
