// Oracle: torchvision's fastrcnn_loss and maskrcnn_loss (tests/golden/detect.py); rules written
// out. The heads themselves are part of the whole model's test.
#include "sgmae/detect/roi_heads.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/detect/golden.h"

namespace sgmae {
namespace {

at::Tensor boxes(std::initializer_list<float> values) {
  return at::tensor(std::vector<float>(values)).view({-1, 4});
}

TEST(RoiLosses, AreTorchvisions) {
  const Golden& golden = golden_operations();
  RoiConfig config;
  config.smooth_l1 = 1.0 / 9;
  const BoxLoss loss = box_loss({golden["box.scores"], golden["box.deltas"]}, golden["box.labels"],
                                golden["box.targets"], config);
  EXPECT_LT(relative_error(loss.classification, golden["box.classification"]), 1e-6);
  EXPECT_LT(relative_error(loss.box, golden["box.loss"]), 1e-6);
  EXPECT_LT(relative_error(
                mask_loss(golden["mask.logits"], golden["mask.labels"], golden["mask.targets"]),
                golden["mask.loss"]),
            1e-6);
}

TEST(RoiLosses, AreZeroWhereThereIsNothing) {
  const BoxLoss none = box_loss({at::zeros({0, 3}), at::zeros({0, 8})}, at::zeros({0}, at::kLong),
                                at::zeros({0, 4}), {});
  EXPECT_EQ(none.classification.item<float>(), 0);
  EXPECT_EQ(none.box.item<float>(), 0);
  EXPECT_EQ(mask_loss(at::zeros({0, 2, 28, 28}), at::zeros({0}, at::kLong), at::zeros({0, 28, 28}))
                .item<float>(),
            0);
  // Background alone: something is to be classified, and no box to be mended.
  const BoxLoss background = box_loss({at::zeros({5, 3}), at::randn({5, 8})},
                                      at::full({5}, 2, at::kLong), at::zeros({0, 4}), {});
  EXPECT_NEAR(background.classification.item<float>(), std::log(3.0), 1e-6);
  EXPECT_EQ(background.box.item<float>(), 0);
}

// Sides of 14 patches and more belong to p4, of half that to p3 …
TEST(LevelOf, IsThatOfTheBoxesSize) {
  EXPECT_TRUE(level_of(boxes({0,   0,   224, 224, 0,    0,    223, 223, 0, 0, 111, 111, 0, 0,
                              448, 448, 0,   0,   2000, 2000, 0,   0,   1, 1, 7,   7,   7, 7}),
                       16)
                  .equal(at::tensor({2, 1, 0, 3, 3, 0, 0}, at::kLong)));
}

// Each level holds its own number everywhere, so that what is pooled says where it came from.
TEST(PoolBoxes, TakesEachBoxFromItsLevelInTheBoxesOrder) {
  std::vector<at::Tensor> levels;
  for (int i = 0; i < 5; ++i) levels.push_back(at::full({1, 2, 64 >> i, 64 >> i}, float(i)));
  const at::Tensor given = boxes({0, 0, 250, 250, 5, 5, 60, 60, 0, 0, 130, 130, 10, 10, 70, 70});
  const at::Tensor pooled = pool_boxes(levels, given, 16, 3, 0);
  ASSERT_EQ(pooled.sizes(), (at::IntArrayRef{4, 2, 3, 3}));
  EXPECT_TRUE(pooled.mean({1, 2, 3}).equal(at::tensor({2.f, 0.f, 1.f, 0.f})));
}

const Draw first_ones = [](std::int64_t, std::int64_t count) { return at::arange(count); };

TEST(TrainingBoxes, ObjectsAreAmongThemAndCrowdsDecideNothing) {
  RoiConfig config;
  config.samples = 8;
  config.positives = 0.5;
  const at::Tensor objects = boxes({10, 10, 30, 30, 50, 50, 90, 90});
  const at::Tensor labels = at::tensor({3, 1}, at::kLong);
  // Near the first object; half in the crowd; less than half in it; nowhere near.
  const at::Tensor proposals = boxes({12, 10, 30, 30, 0, 60, 20, 80, 5, 60, 25, 80, 70, 0, 80, 10});
  const at::Tensor crowds = boxes({0, 50, 10, 100});
  const TrainingBoxes chosen =
      training_boxes(proposals, objects, labels, crowds, 5, config, first_ones);
  EXPECT_TRUE(chosen.objects.equal(at::tensor({0, 0, 1}, at::kLong)));
  EXPECT_TRUE(chosen.labels.equal(at::tensor({3, 3, 1, 5, 5}, at::kLong)));
  EXPECT_TRUE(chosen.boxes.equal(
      boxes({12, 10, 30, 30, 10, 10, 30, 30, 50, 50, 90, 90, 5, 60, 25, 80, 70, 0, 80, 10})));
}

TEST(FoundBoxes, AreOfAClassAboveTheLowestScoreWithinTheImageBestFirst) {
  RoiConfig config;
  config.lowest_score = 0.3;
  // Two classes and background. Box 0: class 1; box 1: the same place, a little less sure, is
  // suppressed; box 2: background; box 3: class 0, reaches beyond the image.
  const at::Tensor logits =
      at::tensor(std::vector<float>{0, 5, 0, 0, 4, 0, 0, 0, 5, 6, 0, 0}).view({4, 3});
  const at::Tensor given = boxes({0, 0, 10, 10, 0, 0, 10, 10, 20, 20, 30, 30, 90, 0, 120, 10});
  const FoundBoxes found = found_boxes({logits, at::zeros({4, 8})}, given, 50, 100, config);
  EXPECT_TRUE(found.labels.equal(at::tensor({0, 1}, at::kLong)));
  EXPECT_TRUE(found.boxes.equal(boxes({90, 0, 100, 10, 0, 0, 10, 10})));
  EXPECT_NEAR(found.scores[1].item<double>(), std::exp(5) / (std::exp(5) + 2), 1e-6);
  config.detections = 1;
  EXPECT_EQ(found_boxes({logits, at::zeros({4, 8})}, given, 50, 100, config).labels.numel(), 1);
}

}  // namespace
}  // namespace sgmae
