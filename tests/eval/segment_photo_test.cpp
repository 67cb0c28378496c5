// Oracle: classifiers whose logits are known functions of the pixels; ATen's bilinear resize; sums
// over windows written out.
#include "sgmae/eval/segment_photo.h"

#include <ATen/ops/argmax.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/support/errors.h"

namespace sgmae {
namespace {

// Two classes: dark and bright. Logits by patch: minus and plus its mean, times 10.
PixelClassifier bright_or_dark(std::int64_t side,
                               std::vector<std::array<std::int64_t, 3>>* seen = nullptr) {
  const auto logits = [seen](const at::Tensor& pixels) {
    if (seen) seen->push_back({pixels.size(0), pixels.size(2), pixels.size(3)});
    const at::Tensor mean =
        pixels.mean(1, true).unfold(2, 4, 4).unfold(3, 4, 4).mean(at::IntArrayRef{4, 5});
    return at::cat({mean.mul(-10), mean.mul(10)}, 1);
  };
  return {.logits = logits,
          .side = side,
          .patch = 4,
          .channels = 3,
          .normalisation = {{0.5f, 0.5f, 0.5f}, {0.25f, 0.25f, 0.25f}}};
}

// Left part dark, the rest bright, from column `edge` on.
Image half_bright(int width, int height, int edge) {
  Image image{width, height, 3, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) image.pixels.insert(image.pixels.end(), 3, x < edge ? 20 : 230);
  return image;
}

// But for `blurred` columns on either side of the edge.
void expect_halves(const LabelMap& map, int edge, int blurred = 0) {
  for (int y = 0; y < map.size.height; ++y)
    for (int x = 0; x < map.size.width; ++x)
      if (x < edge - blurred || x >= edge + blurred) {
        ASSERT_EQ(map.labels[static_cast<std::size_t>(y * map.size.width + x)], x >= edge)
            << x << " " << y;
      }
}

TEST(WindowStarts, CoverASideAndEndWithIt) {
  EXPECT_EQ(window_starts(32, 32, 20), (std::vector<std::int64_t>{0}));
  EXPECT_EQ(window_starts(33, 32, 20), (std::vector<std::int64_t>{0, 1}));
  EXPECT_EQ(window_starts(72, 32, 20), (std::vector<std::int64_t>{0, 20, 40}));
  EXPECT_EQ(window_starts(73, 32, 20), (std::vector<std::int64_t>{0, 20, 40, 41}));
  EXPECT_EQ(window_starts(96, 32, 32), (std::vector<std::int64_t>{0, 32, 64}));
}

TEST(SegmentPhoto, FindsWhatIsWhereInAPhotoOfAnyShape) {
  const Image wide = half_bright(64, 32, 32);
  for (const bool whole : {false, true})
    expect_halves(segment_photo(bright_or_dark(32), view(wide), {.whole = whole}), 32);
  // An edge that no window's edge meets, at twice the size.
  const Image large = half_bright(192, 64, 96);
  expect_halves(segment_photo(bright_or_dark(32), view(large), {.stride = 8}), 96);
}

TEST(SegmentPhoto, TakesSeveralWindowsAtATime) {
  std::vector<std::array<std::int64_t, 3>> seen;
  const Image wide = half_bright(96, 32, 48);
  const auto one = segment_photo(bright_or_dark(32, &seen), view(wide), {.stride = 16});
  EXPECT_EQ(seen.size(), 5u);
  seen.clear();
  const auto four =
      segment_photo(bright_or_dark(32, &seen), view(wide), {.stride = 16, .batch_size = 4});
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0], (std::array<std::int64_t, 3>{4, 32, 32}));
  EXPECT_EQ(seen[1], (std::array<std::int64_t, 3>{1, 32, 32}));
  EXPECT_EQ(one.labels, four.labels);
}

TEST(SegmentPhoto, IsSmallerThanAWindowOnlyWhenItMustBe) {
  std::vector<std::array<std::int64_t, 3>> seen;
  // Seven times as wide as high: the longer side is at most four windows.
  const Image ribbon = half_bright(140, 20, 70);
  const LabelMap map = segment_photo(bright_or_dark(32, &seen), view(ribbon), {});
  EXPECT_EQ(map.size, (ImageSize{140, 20}));
  for (const auto& shape : seen) {
    EXPECT_EQ(shape[1], 20);  // 128 x 18.3, filled up to whole patches
    EXPECT_EQ(shape[2], 32);
  }
  expect_halves(map, 70, 1);
}

TEST(SegmentPhoto, AveragesViews) {
  const Image wide = half_bright(64, 32, 32);
  expect_halves(
      segment_photo(bright_or_dark(32), view(wide), {.scales = {0.75, 1, 2}, .flip = true}), 32);
  // A model that sees the right half of every window as bright, whatever is there: with its mirror
  // image no class is likelier, and the lower one is taken.
  PixelClassifier lopsided = bright_or_dark(32);
  lopsided.logits = [](const at::Tensor& pixels) {
    at::Tensor logits = at::full({pixels.size(0), 2, 8, 8}, 0.0f);
    logits.select(1, 1).narrow(2, 4, 4).fill_(1);
    logits.select(1, 1).narrow(2, 0, 4).fill_(-1);
    return logits;
  };
  const Image square = half_bright(32, 32, 16);
  for (const std::uint8_t label : segment_photo(lopsided, view(square), {.flip = true}).labels)
    EXPECT_EQ(label, 0);
}

TEST(SegmentPhoto, RefusesLogitsThatAreNoNumbers) {
  PixelClassifier broken = bright_or_dark(32);
  broken.logits = [](const at::Tensor& pixels) {
    return at::full({pixels.size(0), 2, 8, 8}, std::numeric_limits<float>::quiet_NaN());
  };
  const Image photo = half_bright(32, 32, 16);
  EXPECT_NE(
      error_of(ExitCode::diverged, [&] { segment_photo(broken, view(photo), {}); }).find("NaN"),
      std::string::npos);
}

TEST(LikeliestClasses, AreThoseOfABilinearResize) {
  for (const std::int64_t classes : {1, 5, 16, 150}) {
    const at::Tensor scores = at::randn({1, classes, 7, 9});
    for (const ImageSize size : {ImageSize{9, 7}, {31, 18}, {4, 3}, {9, 40}, {1, 1}}) {
      const at::Tensor expected = at::upsample_bilinear2d(scores, {size.height, size.width}, false)
                                      .argmax(1)[0]
                                      .contiguous();
      const LabelMap map = likeliest_classes(scores, size);
      ASSERT_EQ(map.size, size);
      for (std::size_t i = 0; i < map.labels.size(); ++i)
        ASSERT_EQ(map.labels[i], expected.data_ptr<std::int64_t>()[i]) << i;
    }
  }
}

TEST(LikeliestClasses, OfEqualOnesAreTheFirst) {
  for (const std::int64_t first : {0, 3, 17, 36, 38}) {
    at::Tensor scores = at::full({1, 40, 2, 2}, 0.0);
    scores.narrow(1, first, 40 - first).fill_(1);
    for (const std::uint8_t label : likeliest_classes(scores, {3, 3}).labels)
      EXPECT_EQ(label, first);
  }
}

}  // namespace
}  // namespace sgmae
