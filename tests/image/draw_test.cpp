// Oracle: pixels counted and placed by hand.
#include "sgmae/image/draw.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace sgmae {
namespace {

constexpr Colour kBlack{0, 0, 0}, kRed{200, 0, 0}, kWhite{255, 255, 255};

Colour at(const Image& image, int x, int y) {
  const std::uint8_t* p = image.pixels.data() + (y * image.width + x) * 3;
  return {p[0], p[1], p[2]};
}

int count(const Image& image, Colour colour) {
  int n = 0;
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) n += at(image, x, y) == colour;
  return n;
}

TEST(Draw, FillStaysInsideBoxAndCanvas) {
  Image canvas = blank_image({6, 5}, kWhite);
  EXPECT_EQ(count(canvas, kWhite), 30);
  fill(canvas, {1, 2, 3, 2}, kRed);
  EXPECT_EQ(count(canvas, kRed), 6);
  EXPECT_EQ(at(canvas, 1, 2), kRed);
  EXPECT_EQ(at(canvas, 4, 3), kWhite);
  fill(canvas, {-3, -3, 4, 4}, kBlack);  // only its last pixel lies on the canvas
  EXPECT_EQ(count(canvas, kBlack), 1);
  fill(canvas, {5, 4, 100, 100}, kBlack);
  fill(canvas, {50, 50, 3, 3}, kBlack);
  fill(canvas, {-50, 0, 3, 3}, kBlack);
  EXPECT_EQ(count(canvas, kBlack), 2);
}

TEST(Draw, TintMixesLinearly) {
  Image canvas = blank_image({1, 1}, {100, 0, 255});
  tint(canvas, {0, 0, 1, 1}, {200, 50, 55}, 0.5);
  EXPECT_EQ(at(canvas, 0, 0), (Colour{150, 25, 155}));
  tint(canvas, {0, 0, 1, 1}, kWhite, 0.0);
  EXPECT_EQ(at(canvas, 0, 0), (Colour{150, 25, 155}));
}

TEST(Draw, OutlineLeavesTheInside) {
  Image canvas = blank_image({8, 8}, kWhite);
  outline(canvas, {1, 1, 6, 5}, kRed, 1);
  EXPECT_EQ(count(canvas, kRed), 6 * 5 - 4 * 3);
  EXPECT_EQ(at(canvas, 6, 5), kRed);
  EXPECT_EQ(at(canvas, 2, 2), kWhite);
  EXPECT_EQ(at(canvas, 7, 6), kWhite);
}

TEST(Draw, PasteEnlargesGreyAndColour) {
  Image canvas = blank_image({9, 5}, kWhite);
  paste(canvas, view(Image{2, 1, 1, {10, 20}}), 1, 1, 3);
  EXPECT_EQ(at(canvas, 1, 1), (Colour{10, 10, 10}));
  EXPECT_EQ(at(canvas, 3, 3), (Colour{10, 10, 10}));
  EXPECT_EQ(at(canvas, 4, 1), (Colour{20, 20, 20}));
  EXPECT_EQ(count(canvas, kWhite), 45 - 18);
  paste(canvas, view(Image{1, 1, 3, {1, 2, 3}}), 8, 4, 2);  // three quarters of it fall outside
  EXPECT_EQ(at(canvas, 8, 4), (Colour{1, 2, 3}));
}

// The scale must also be read in black and white, so luma (Rec. 601) always grows.
TEST(Draw, HeatGrowsLighter) {
  const auto luma = [](Colour c) { return 0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2]; };
  for (int i = 0; i < 50; ++i) EXPECT_LE(luma(heat(i / 50.0)), luma(heat((i + 1) / 50.0)));
  EXPECT_EQ(heat(-3), heat(0));
  EXPECT_EQ(heat(7), heat(1));
  EXPECT_EQ(heat(std::numeric_limits<double>::quiet_NaN()), heat(0));
}

}  // namespace
}  // namespace sgmae
