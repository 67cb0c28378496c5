// Oracles: shapes small enough to count by hand.
#include "sgmae/eval/outline.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/support/errors.h"

namespace sgmae {
namespace {

Outline polygon(std::vector<std::vector<double>> polygons) {
  return {{std::move(polygons), {}}, {}};
}
Outline runs(ImageSize size, std::vector<std::uint32_t> counts) {
  return {{{}, {size, std::move(counts)}}, {}};
}
Outline box(const GridBox& box) {
  return {{}, box};
}

std::vector<int> pixels(const Image& mask) {
  return {mask.pixels.begin(), mask.pixels.end()};
}

// What is seen of one outline in all of an image.
MarkedObjects seen(const Outline& outline, const ImageSize& size) {
  return seen_of({&outline, 1}, size, whole(size));
}

TEST(Outline, RunsGoDownTheColumns) {
  const Outline outline = runs({4, 3}, {4, 2, 5, 1});
  EXPECT_EQ(pixels(seen(outline, {4, 3}).mask), (std::vector<int>{0, 0, 0, 0,  //
                                                                  0, 1, 0, 0,  //
                                                                  0, 1, 0, 1}));
  const MarkedObjects part = seen_of({&outline, 1}, {4, 3}, {2, 1, 2, 2});
  EXPECT_EQ(pixels(part.mask), (std::vector<int>{0, 0, 0, 1}));
  EXPECT_EQ(part.boxes.at(0).left, 0.5);
}

TEST(Outline, APolygonHoldsThePixelsWhoseCentresAreInside) {
  // A square of 1.4 to 3.6, which holds the centres 1.5, 2.5 and 3.5; a triangle's half.
  const auto square = seen(polygon({{1.4, 0, 3.6, 0, 3.6, 1, 1.4, 1}}), {5, 2});
  EXPECT_EQ(pixels(square.mask), (std::vector<int>{0, 1, 1, 1, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(square.boxes.at(0).left, 0.2);
  EXPECT_EQ(square.boxes.at(0).right, 0.8);
  const auto triangle = seen(polygon({{0, 0, 3, 0, 0, 3}}), {3, 3});
  EXPECT_EQ(std::accumulate(triangle.mask.pixels.begin(), triangle.mask.pixels.end(), 0), 3);
}

TEST(Outline, WhatAPolygonCirclesTwiceIsOutsideAndPolygonsUnite) {
  const std::vector<double> ring{0, 0, 4, 0, 4, 1, 0, 1, 0, 0, 1, 0, 3, 0, 3, 1, 1, 1, 1, 0};
  EXPECT_EQ(pixels(seen(polygon({ring}), {4, 1}).mask), (std::vector<int>{1, 0, 0, 1}));
  EXPECT_EQ(pixels(seen(polygon({ring, {1, 0, 2, 0, 2, 1, 1, 1}}), {4, 1}).mask),
            (std::vector<int>{1, 1, 0, 1}));
}

TEST(Outline, PolygonsReachBeyondTheImageAndMayHaveNoArea) {
  const auto beyond = seen(polygon({{-9, -9, 99, -9, 99, 99, -9, 99}}), {3, 2});
  EXPECT_EQ(pixels(beyond.mask), std::vector<int>(6, 1));
  const std::vector<std::vector<double>> flat{{}, {1, 1}, {0, 0, 3, 2}, {1, 1, 1, 1, 1, 1}};
  for (const std::vector<double>& points : flat)
    EXPECT_TRUE(seen(polygon({points}), {3, 2}).boxes.empty());
}

// Every crop of some outlines is the part of what is seen in all of the image.
TEST(Outline, FollowsTheCrop) {
  const ImageSize size{9, 7};
  const std::vector<Outline> outlines{polygon({{0.3, 0.2, 6.1, 2.2, 2.4, 6.7}}),
                                      runs(size, {30, 9, 24}), box({6.6, 0.2, 8.7, 2.9})};
  const MarkedObjects all = seen_of(outlines, size, whole(size));
  for (int x = 0; x < 9; ++x)
    for (int y = 0; y < 7; ++y) {
      const CropBox crop{x, y, 9 - x, 7 - y};
      const Image part = seen_of(outlines, size, crop).mask;
      for (int v = 0; v < crop.height; ++v)
        for (int u = 0; u < crop.width; ++u)
          ASSERT_EQ(part.pixels[static_cast<std::size_t>(v * crop.width + u)],
                    all.mask.pixels[static_cast<std::size_t>((y + v) * 9 + x + u)]);
    }
}

TEST(Outline, BoxesAloneNeedNoMask) {
  const std::vector<Outline> boxes{box({2, 1, 6, 3}), box({7, 1, 9, 2})};
  const MarkedObjects all = seen_of(boxes, {8, 4}, {4, 0, 4, 4});
  EXPECT_TRUE(all.mask.pixels.empty());
  ASSERT_EQ(all.boxes.size(), 2u);
  EXPECT_EQ(all.boxes[0].left, 0);
  EXPECT_EQ(all.boxes[0].right, 0.5);
  EXPECT_EQ(all.boxes[1].left, 0.75);
  EXPECT_EQ(all.boxes[1].right, 1);
}

}  // namespace
}  // namespace sgmae
