// Oracle: pixels whose colour is known.
#include "sgmae/report/panels.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

namespace sgmae {
namespace {

Colour at_pixel(const Image& image, int x, int y) {
  const std::uint8_t* p = image.pixels.data() + (static_cast<std::size_t>(y) * image.width + x) * 3;
  return {p[0], p[1], p[2]};
}

// Text over columns that are narrower than it, as of images of 28 pixels.
TEST(Panels, DoNotOverlapAndLieOnTheCanvas) {
  const std::vector<Column> columns{
      {"one", {{Key::filled, object_colour, "object side of the cut"}}},
      {"a heading that is far too long for its column, and for any other"},
      {"reconstruction", {{.mark = Key::heat, .text = "1"}}}};
  for (const bool titles : {false, true}) {
    Panels panels({40, 30}, columns, 3, "Masks", titles);
    const Image before = panels.canvas();
    panels.title_row(2, "a/name.jpg");
    EXPECT_NE(panels.canvas().pixels, before.pixels);
    const CropBox last = panels.place(2, 2);
    EXPECT_LE(last.x + last.width, before.width);
    EXPECT_LE(last.y + last.height, before.height);
    for (const std::size_t column : {1u, 2u}) {
      EXPECT_GE(panels.place(0, column).x, panels.place(0, column - 1).x + 40);
      // What is between the columns stays paper below the title.
      for (int y = 40; y < panels.place(0, 0).y; ++y)
        EXPECT_EQ(at_pixel(before, panels.place(0, column).x - 3, y), (Colour{255, 255, 255}));
    }
    EXPECT_GE(panels.place(1, 0).y, panels.place(0, 0).y + 30);
    // So does where panels will be.
    for (int x = 0; x < 40; ++x)
      EXPECT_EQ(at_pixel(before, panels.place(0, 0).x + x, panels.place(0, 0).y),
                (Colour{255, 255, 255}));
  }
}

// The marks of the keys have the colours of what they stand for.
TEST(Panels, KeysShowTheirColours) {
  const auto count = [](const Key& key, Colour colour) {
    const Image sheet = Panels({160, 160}, {{"", {key}}}, 1, "", false).take();
    int n = 0;
    for (int y = 0; y < sheet.height; ++y)
      for (int x = 0; x < sheet.width; ++x) n += at_pixel(sheet, x, y) == colour;
    return n;
  };
  const Key filled{Key::filled, object_colour, ""}, outlined{Key::outlined, object_colour, ""};
  EXPECT_GT(count(filled, object_colour), 80);
  EXPECT_GT(count(outlined, object_colour), 20);
  EXPECT_LT(count(outlined, object_colour), count(filled, object_colour));
  EXPECT_EQ(count({}, object_colour), 0);
  for (const double value : {0.0, 1.0}) EXPECT_GT(count({.mark = Key::heat}, heat(value)), 5);
}

TEST(EnlargedPanel, IsLargeEnoughToBeSeen) {
  EXPECT_EQ(enlarged_panel({28, 28}), (ImageSize{168, 168}));
  EXPECT_EQ(enlarged_panel({64, 32}), (ImageSize{192, 96}));
  EXPECT_EQ(enlarged_panel({160, 90}), (ImageSize{160, 90}));
  EXPECT_EQ(enlarged_panel({224, 224}), (ImageSize{224, 224}));
}

TEST(DrawPatchMap, PutsEachValueAtItsPatch) {
  Image canvas = blank_image({20, 20}, {0, 0, 0});
  draw_patch_map(canvas, {2, 4, 12, 8}, at::tensor({0.0f, 0.5f, 1.0f, 0.0f, 0.0f, 1.0f}), 3, 1);
  EXPECT_EQ(at_pixel(canvas, 2, 4), heat(0));
  EXPECT_EQ(at_pixel(canvas, 7, 5), heat(0.5));
  EXPECT_EQ(at_pixel(canvas, 13, 11), heat(1));
  EXPECT_EQ(at_pixel(canvas, 14, 12), (Colour{0, 0, 0}));
}

TEST(DrawMatrix, HasRowsDownwards) {
  Image canvas = blank_image({10, 10}, {0, 0, 0});
  at::Tensor matrix = at::zeros({2, 2});
  matrix[1][0] = 1;
  draw_matrix(canvas, {0, 0, 10, 10}, matrix);
  EXPECT_EQ(at_pixel(canvas, 1, 8), heat(1));
  EXPECT_EQ(at_pixel(canvas, 8, 1), heat(0));
}

// Left half cluster 0, right half cluster 1: both have their line at the border and nowhere else.
TEST(DrawClusters, LinesFollowTheBordersTightly) {
  Image canvas = blank_image({40, 20}, {255, 255, 255});
  draw_clusters(canvas, {0, 0, 40, 20}, {0, 0, 1, 1, 0, 0, 1, 1}, 4, 2);
  for (int y = 0; y < 20; ++y) {
    EXPECT_EQ(at_pixel(canvas, 19, y), cluster_colour(0)) << y;
    EXPECT_EQ(at_pixel(canvas, 20, y), cluster_colour(1)) << y;
    EXPECT_NE(at_pixel(canvas, 17, y), cluster_colour(0)) << y;
    EXPECT_NE(at_pixel(canvas, 10, y), cluster_colour(0)) << y;
  }
  EXPECT_EQ(at_pixel(canvas, 3, 3), at_pixel(canvas, 12, 14));  // one tint per cluster
  EXPECT_NE(at_pixel(canvas, 3, 3), at_pixel(canvas, 30, 3));
}

TEST(DrawPoints, KeepProportionsAndStayInside) {
  Image canvas = blank_image({60, 60}, {255, 255, 255});
  draw_points(canvas, {10, 10, 40, 40}, at::tensor({0.0, 0.0, 10.0, 5.0}, at::kDouble).view({2, 2}),
              {0, 1});
  EXPECT_EQ(at_pixel(canvas, 12, 12), cluster_colour(0));
  EXPECT_EQ(at_pixel(canvas, 10 + 35 + 2, 10 + 17 + 2), cluster_colour(1));
  for (int i = 0; i < 60; ++i) EXPECT_EQ(at_pixel(canvas, i, 52), (Colour{255, 255, 255}));
  // One point only: no spread to scale by.
  draw_points(canvas, {10, 10, 40, 40}, at::zeros({1, 2}, at::kDouble), {2});
  EXPECT_EQ(at_pixel(canvas, 12, 12), cluster_colour(2));
}

}  // namespace
}  // namespace sgmae
