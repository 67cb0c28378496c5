// Oracles: the rules done the slow way; 100,000 draws of torchvision 0.26
// RandomResizedCrop.get_params(image, (0.2, 1), (3/4, 4/3)) per image size: means and standard
// deviations of the box, in parts of the image.
#include "sgmae/image/augment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "sgmae/image/label_map.h"

namespace sgmae {
namespace {

struct Moments {
  double sum = 0, squares = 0;
  int count = 0;
  void add(double value) {
    sum += value;
    squares += value * value;
    ++count;
  }
  double mean() const { return sum / count; }
  double deviation() const { return std::sqrt(squares / count - mean() * mean()); }
};

struct Expected {
  ImageSize size;
  double area, area_deviation, log_ratio, log_ratio_deviation, left_deviation, top_deviation;
};

// 20,000 draws against 100,000: the means' standard error is at most 0.2/sqrt(16,700) = 0.0015, so
// 0.006 is four of them.
TEST(RandomResizedCrop, DistributedAsTorchvision) {
  const Expected cases[] = {
      {{500, 375}, 0.4960, 0.1858, 0.0370, 0.1629, 0.1389, 0.1033},
      {{64, 64}, 0.5446, 0.2036, 0.0000, 0.1583, 0.1217, 0.1214},
      {{28, 28}, 0.5521, 0.2076, 0.0001, 0.1597, 0.1251, 0.1251},
      {{300, 100}, 0.3051, 0.0772, 0.0979, 0.1625, 0.1864, 0.0578},  // one in seven falls back
      {{100, 300}, 0.3052, 0.0771, -0.0979, 0.1625, 0.0574, 0.1862},
      {{200, 130}, 0.4453, 0.1550, 0.0383, 0.1626, 0.1502, 0.0974},
  };
  for (const Expected& expected : cases) {
    const auto [width, height] = expected.size;
    SCOPED_TRACE(testing::Message() << width << "x" << height);
    Moments area, log_ratio, left, top;
    for (std::uint64_t i = 0; i < 20'000; ++i) {
      Rng rng(0, 0, i, Purpose::augment);
      const CropBox box = random_resized_crop(rng, expected.size);
      ASSERT_GE(box.x, 0);
      ASSERT_GE(box.y, 0);
      ASSERT_GT(box.width, 0);
      ASSERT_GT(box.height, 0);
      ASSERT_LE(box.x + box.width, width);
      ASSERT_LE(box.y + box.height, height);
      area.add(static_cast<double>(box.width) * box.height / (width * height));
      log_ratio.add(std::log(static_cast<double>(box.width) / box.height));
      left.add(static_cast<double>(box.x) / width);
      top.add(static_cast<double>(box.y) / height);
    }
    constexpr double tolerance = 0.006;
    EXPECT_NEAR(area.mean(), expected.area, tolerance);
    EXPECT_NEAR(area.deviation(), expected.area_deviation, tolerance);
    EXPECT_NEAR(log_ratio.mean(), expected.log_ratio, tolerance);
    EXPECT_NEAR(log_ratio.deviation(), expected.log_ratio_deviation, tolerance);
    EXPECT_NEAR(left.deviation(), expected.left_deviation, tolerance);
    EXPECT_NEAR(top.deviation(), expected.top_deviation, tolerance);
  }
}

// Largest distance between the distribution of `values` and the one with cumulative function `cdf`
// (Kolmogorov and Smirnov), leaving out the jump at 1, where sides are cut.
template <class Cdf>
double distance(std::vector<double> values, const Cdf& cdf) {
  std::sort(values.begin(), values.end());
  double largest = 0;
  for (std::size_t i = 0; i < values.size() && values[i] < 1; ++i) {
    const double below = static_cast<double>(i) / static_cast<double>(values.size());
    largest = std::max(largest, std::abs(cdf(values[i]) - below));
  }
  return largest;
}

// Oracle: the law itself. Of share s ~ U(0.08, 1) and log ratio r ~ U(-log 4/3, log 4/3), the width
// of a box in a W x H image is sqrt(s e^r H / W) of W, cut at 1; the corner is uniform over what is
// left. 20,000 draws: a distance above 2.69 / sqrt(20,000) = 0.019 has probability 1e-6.
TEST(RandomResizedCrop, SingleDrawFollowsItsLaw) {
  constexpr int draws = 20'000;
  const AugmentOptions options{.min_scale = 0.08, .single_draw = true};
  const double a = std::log(4.0 / 3.0);
  for (const ImageSize size : {ImageSize{20'000, 20'000}, {30'000, 10'000}, {10'000, 25'000}}) {
    SCOPED_TRACE(testing::Message() << size.width << "x" << size.height);
    // P(side <= x) for a side sqrt(s e^r f): the mean over r of P(s <= x^2 e^-r / f).
    const auto side_cdf = [&](double f) {
      return [f, a](double x) {
        constexpr int steps = 400;
        double sum = 0;
        for (int i = 0; i < steps; ++i) {
          const double r = a * (2 * (i + 0.5) / steps - 1);
          sum += std::clamp((x * x * std::exp(-r) / f - 0.08) / 0.92, 0.0, 1.0);
        }
        return sum / steps;
      };
    };
    std::vector<double> widths, heights, corners;
    for (std::uint64_t i = 0; i < draws; ++i) {
      Rng rng(0, 0, i, Purpose::augment);
      const CropBox box = random_resized_crop(rng, size, options);
      widths.push_back(static_cast<double>(box.width) / size.width);
      heights.push_back(static_cast<double>(box.height) / size.height);
      if (box.width < size.width) corners.push_back((box.x + 0.5) / (size.width - box.width + 1));
    }
    const double wide = static_cast<double>(size.width) / size.height;
    EXPECT_LT(distance(widths, side_cdf(1 / wide)), 0.019);
    EXPECT_LT(distance(heights, side_cdf(wide)), 0.019);
    // As many as are left of 20,000, at the same probability.
    EXPECT_LT(distance(corners, [](double x) { return x; }),
              2.69 / std::sqrt(static_cast<double>(corners.size())));
    // The jump: the share of boxes that are as wide as the image.
    EXPECT_NEAR(1.0 - static_cast<double>(corners.size()) / draws, 1 - side_cdf(1 / wide)(1.0),
                0.019);
  }
}

TEST(RandomResizedCrop, SingleDrawKeepsInsideTinyImages) {
  const AugmentOptions options{.min_scale = 0.08, .single_draw = true};
  for (std::uint64_t i = 0; i < 1000; ++i) {
    Rng rng(0, 0, i, Purpose::augment);
    const CropBox box = random_resized_crop(rng, {3, 1}, options);
    EXPECT_EQ(box.height, 1);
    EXPECT_GE(box.width, 1);
    EXPECT_LE(box.x + box.width, 3);
  }
}

// Closed form: no box of an allowed ratio and a fifth of the area fits; the largest central one
// does.
TEST(RandomResizedCrop, FallsBackToTheCentre) {
  Rng rng(0, 0, 0, Purpose::augment);
  EXPECT_EQ(random_resized_crop(rng, {1000, 10}), (CropBox{493, 0, 13, 10}));  // round(13.33)
  EXPECT_EQ(random_resized_crop(rng, {10, 1000}), (CropBox{0, 493, 10, 13}));
}

TEST(RandomResizedCrop, OnePixel) {
  Rng rng(0, 0, 0, Purpose::augment);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(random_resized_crop(rng, {1, 1}), (CropBox{0, 0, 1, 1}));
}

TEST(Fitted, TouchesTheCanvasInOneDirection) {
  EXPECT_EQ(fitted({640, 480}, {1024, 1024}), (ImageSize{1024, 768}));
  EXPECT_EQ(fitted({640, 480}, {1024, 512}), (ImageSize{683, 512}));
  EXPECT_EQ(fitted({480, 640}, {64, 48}), (ImageSize{36, 48}));
  EXPECT_EQ(fitted({640, 480}, {1024, 1024}, 0.1), (ImageSize{102, 77}));
  EXPECT_EQ(fitted({10'000, 3}, {100, 100}), (ImageSize{100, 1}));
  for (int side = 1; side < 3000; side += 7) {
    const ImageSize size = fitted({side, 1 + side / 3}, {224, 160});
    EXPECT_LE(size.width, 224);
    EXPECT_LE(size.height, 160);
    EXPECT_TRUE(size.width == 224 || size.height == 160);
  }
}

// 20,000 draws of a scale uniform in [0.1, 2): mean 1.05, deviation 1.9/sqrt(12) = 0.548; the
// standard error is 0.004, the tolerance four of them. Where the image is larger than the canvas
// the crop's place is uniform: its mean is half of what is left, with a standard error below 0.003.
TEST(LargeScaleJitter, IsUniform) {
  const ImageSize size{640, 480}, canvas{200, 100};
  Moments scale, across, down;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    Rng rng(0, 0, i, Purpose::augment);
    const Placement placed = large_scale_jitter(rng, size, canvas, 0.1, 2);
    ASSERT_EQ(placed.content.width, std::min(placed.scaled.width, canvas.width));
    ASSERT_EQ(placed.content.height, std::min(placed.scaled.height, canvas.height));
    const int right = placed.scaled.width - placed.content.width - placed.x;
    const int below = placed.scaled.height - placed.content.height - placed.y;
    ASSERT_TRUE(placed.x >= 0 && placed.y >= 0 && right >= 0 && below >= 0);
    scale.add(placed.scaled.height / 100.0);
    // Both edges of the crop's range are reached.
    if (placed.x + right > 0) across.add(static_cast<double>(placed.x) / (placed.x + right));
    if (placed.y + below > 0) down.add(static_cast<double>(placed.y) / (placed.y + below));
  }
  EXPECT_NEAR(scale.mean(), 1.05, 0.016);
  EXPECT_NEAR(scale.deviation(), 1.9 / std::sqrt(12), 0.016);
  EXPECT_NEAR(across.mean(), 0.5, 0.02);
  EXPECT_NEAR(down.mean(), 0.5, 0.02);
  EXPECT_GT(across.count, 5'000);
  EXPECT_GT(down.count, 9'000);
}

// 10,000 draws: a standard error of 0.005, so 0.02 is four of them.
TEST(RandomFlip, HalfOfTheTime) {
  int flips = 0;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    Rng rng(0, 0, i, Purpose::augment);
    flips += random_flip(rng);
  }
  EXPECT_NEAR(flips / 10'000.0, 0.5, 0.02);
}

TEST(ScaledToSides, KeepsShapeWithinBothSides) {
  EXPECT_EQ(scaled_to_sides({640, 480}, 512, 2048), (ImageSize{683, 512}));
  EXPECT_EQ(scaled_to_sides({480, 640}, 512, 2048), (ImageSize{512, 683}));
  EXPECT_EQ(scaled_to_sides({4000, 500}, 512, 2048), (ImageSize{2048, 256}));
  EXPECT_EQ(scaled_to_sides({1000, 1}, 512, 2048), (ImageSize{2048, 2}));
  EXPECT_EQ(scaled_to_sides({5000, 1}, 10, 40), (ImageSize{40, 1}));
}

TEST(RandomScale, IsOfTheCanvas) {
  double least = 9, most = 0;
  for (std::uint64_t i = 0; i < 400; ++i) {
    Rng rng(1, 0, i, Purpose::augment);
    const ImageSize scaled = random_scale(rng, {300, 200}, {512, 640}, 0.5, 2);
    least = std::min(least, scaled.height / 512.0);
    most = std::max(most, scaled.height / 512.0);
    EXPECT_NEAR(scaled.width, scaled.height * 1.5, 1);
    EXPECT_LE(random_scale(rng, {4000, 200}, {512, 512}, 0.5, 2).width, 4096);
  }
  EXPECT_TRUE(least >= 0.499 && least < 0.52 && most < 2 && most > 1.97) << least << " " << most;
}

// Against the rule done the slow way: all pixels of the window asked for one by one.
TEST(RandomCrop, OneClassDoesNotFillIt) {
  LabelMap map{{60, 40}, {}};
  for (int y = 0; y < 40; ++y)
    for (int x = 0; x < 60; ++x)
      map.labels.push_back(static_cast<std::uint8_t>(x < 40 ? 3 : y < 10 ? unlabelled_pixel : 1));
  const ImageSize scaled{123, 77}, canvas{32, 48};
  const auto share = [&](const Placement& placed) {
    LabelMap seen;
    resize_labels(map, whole(map.size), scaled,
                  {placed.x, placed.y, placed.content.width, placed.content.height}, false, seen);
    std::map<int, double> counts;
    double labelled = 0;
    for (const std::uint8_t label : seen.labels)
      if (label != unlabelled_pixel) {
        ++counts[label];
        ++labelled;
      }
    double most = 0;
    for (const auto& [label, number] : counts) most = std::max(most, number);
    return labelled == 0 ? 1 : most / labelled;
  };
  int first = 0, later = 0, never = 0;
  for (std::uint64_t i = 0; i < 300; ++i) {
    Rng rng(2, 0, i, Purpose::augment), slow = rng;
    const Placement got = random_crop(rng, scaled, canvas, &map, 0.75);
    Placement want{scaled, 0, 0, {32, 48}};
    int tries = 0;
    do {
      want.y = static_cast<int>(slow.below(77 - 48 + 1));
      want.x = static_cast<int>(slow.below(123 - 32 + 1));
      ++tries;
    } while (share(want) >= 0.75 && tries < 10);
    ASSERT_EQ(got, want);
    EXPECT_EQ(rng.next(), slow.next());
    first += tries == 1;
    later += tries > 1 && share(got) < 0.75;
    never += share(got) >= 0.75;
  }
  EXPECT_GT(first, 30);
  EXPECT_GT(later, 30);
  EXPECT_GT(never, 0);
}

TEST(RandomCrop, WithoutChoice) {
  Rng rng(3, 0, 0, Purpose::augment);
  const LabelMap map{{2, 2}, {0, 0, 0, 0}};
  EXPECT_EQ(random_crop(rng, {20, 10}, {32, 32}, &map, 0.75),
            (Placement{{20, 10}, 0, 0, {20, 10}}));
  const LabelMap none{{2, 2}, std::vector<std::uint8_t>(4, unlabelled_pixel)};
  const Placement placed = random_crop(rng, {50, 40}, {32, 64}, &none, 0.75);
  EXPECT_EQ(placed.content, (ImageSize{32, 40}));
  Rng a(4, 0, 0, Purpose::augment), b = a;  // without a rule the first place is taken
  EXPECT_EQ(random_crop(a, {50, 40}, {32, 32}, &map, 1),
            random_crop(b, {50, 40}, {32, 32}, nullptr, 0.75));
}

}  // namespace
}  // namespace sgmae
