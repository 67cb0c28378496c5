// Oracle: sets of pixels counted one by one; torchmetrics' numbers for a small case.
#include "sgmae/eval/pixel_counts.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "sgmae/base/rng.h"
#include "sgmae/image/label_map.h"
#include "tests/support/errors.h"

namespace sgmae {
namespace {

using Labels = std::vector<std::uint8_t>;

struct Drawn {
  Labels truth, predicted;
};

Drawn drawn(std::uint64_t seed, std::int64_t classes, std::size_t count) {
  Rng rng(seed, 0, 0, Purpose::probe);
  Drawn labels;
  for (std::size_t i = 0; i < count; ++i) {
    const bool known = rng.uniform() < 0.9;
    labels.truth.push_back(known ? static_cast<std::uint8_t>(rng.below(classes))
                                 : unlabelled_pixel);
    labels.predicted.push_back(static_cast<std::uint8_t>(rng.below(classes)));
  }
  return labels;
}

// The intersection over union of the sets of pixels that are `c` and that are predicted as `c`.
double slow_iou(const Drawn& labels, std::uint8_t c) {
  std::set<std::size_t> is, seen, both, either;
  for (std::size_t i = 0; i < labels.truth.size(); ++i) {
    if (labels.truth[i] == unlabelled_pixel) continue;
    if (labels.truth[i] == c) is.insert(i);
    if (labels.predicted[i] == c) seen.insert(i);
  }
  for (const std::size_t i : is) {
    either.insert(i);
    if (seen.contains(i)) both.insert(i);
  }
  either.insert(seen.begin(), seen.end());
  return static_cast<double>(both.size()) / static_cast<double>(either.size());
}

TEST(PixelCounts, EqualSetsOfPixels) {
  const Drawn labels = drawn(3, 7, 5000);
  PixelCounts counts(7);
  counts.add(labels.truth, labels.predicted);
  double sum = 0;
  for (std::uint8_t c = 0; c < 7; ++c) {
    EXPECT_DOUBLE_EQ(counts.iou(c), slow_iou(labels, c));
    sum += slow_iou(labels, c);
  }
  EXPECT_NEAR(counts.mean_iou(), sum / 7, 1e-15);
}

// torchmetrics 1.9.0: MulticlassJaccardIndex(4, ignore_index=255) macro and per class,
// MulticlassAccuracy micro and macro, of these eight pixels (tests/golden/segmentation_scores.py).
TEST(PixelCounts, EqualsTorchmetrics) {
  const Labels truth{0, 0, 1, 1, 2, 255, 2, 0}, predicted{0, 1, 1, 1, 0, 3, 2, 0};
  PixelCounts counts(4);
  counts.add(truth, predicted);
  EXPECT_DOUBLE_EQ(counts.iou(0), 0.5);
  EXPECT_DOUBLE_EQ(counts.iou(1), 2.0 / 3);
  EXPECT_DOUBLE_EQ(counts.iou(2), 0.5);
  EXPECT_TRUE(std::isnan(counts.iou(3)));  // there and predicted nowhere: left out of the mean
  EXPECT_DOUBLE_EQ(counts.mean_iou(), (0.5 + 2.0 / 3 + 0.5) / 3);
  EXPECT_DOUBLE_EQ(counts.mean_iou_of_all(), (0.5 + 2.0 / 3 + 0.5) / 4);
  EXPECT_DOUBLE_EQ(counts.accuracy(), 5.0 / 7);
  EXPECT_DOUBLE_EQ(counts.mean_accuracy(), (2.0 / 3 + 1 + 0.5) / 3);
  EXPECT_DOUBLE_EQ(counts.frequency_weighted_iou(),
                   3.0 / 7 * 0.5 + 2.0 / 7 * (2.0 / 3) + 2.0 / 7 * 0.5);
}

TEST(PixelCounts, AddUp) {
  const Drawn a = drawn(1, 5, 300), b = drawn(2, 5, 200);
  PixelCounts apart(5), other(5), together(5);
  apart.add(a.truth, a.predicted);
  other.add(b.truth, b.predicted);
  together.add(a.truth, a.predicted);
  together.add(b.truth, b.predicted);
  EXPECT_EQ(apart += other, together);
}

TEST(PixelCounts, HaveNoNumbersWithoutPixels) {
  PixelCounts counts(3);
  counts.add(Labels{255, 255}, Labels{0, 1});
  EXPECT_EQ(counts.pixels(), 0);
  EXPECT_TRUE(std::isnan(counts.mean_iou()));
  EXPECT_TRUE(to_json(counts, {"a", "b", "c"})["miou"].is_null());
}

TEST(PixelCounts, TellWhatAClassIsMistakenFor) {
  PixelCounts counts(3);
  counts.add(Labels{0, 0, 0, 1}, Labels{1, 1, 2, 1});
  const auto json = to_json(counts, {"sky", "sea"});
  EXPECT_EQ(json["per_class"]["sky"]["mistaken_for"], "sea");
  EXPECT_EQ(json["per_class"]["sky"]["pixels"], 3);
  EXPECT_EQ(json["per_class"]["sea"]["predicted"], 3);
  EXPECT_FALSE(json["per_class"]["sea"].contains("mistaken_for"));
  EXPECT_EQ(json["confusion"].dump(), "[[0,1,2],[0,2,1],[1,1,1]]");
}

TEST(PixelCounts, RefuseAClassThatIsNone) {
  PixelCounts counts(3);
  EXPECT_NE(error_of(ExitCode::data, [&] { counts.add(Labels{3}, Labels{0}); }).find("class 3"),
            std::string::npos);
}

}  // namespace
}  // namespace sgmae
