// Oracles: pixels of a plain photo that must or must not have changed, and contrast by luma.
#include "sgmae/image/draw_objects.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace sgmae {
namespace {

Colour at(const Image& image, int x, int y) {
  const std::uint8_t* p = image.pixels.data() + (y * image.width + x) * 3;
  return {p[0], p[1], p[2]};
}

double luma(Colour c) {
  return 0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2];
}

// The extremes of luma in a part of the picture.
std::pair<double, double> range(const Image& image, const CropBox& box) {
  double low = 255, high = 0;
  for (int y = box.y; y < box.y + box.height; ++y)
    for (int x = box.x; x < box.x + box.width; ++x) {
      low = std::min(low, luma(at(image, x, y)));
      high = std::max(high, luma(at(image, x, y)));
    }
  return {low, high};
}

TEST(DrawObjects, LeavesTheRestAlone) {
  const Image photo = blank_image({640, 480}, {90, 120, 60});
  EXPECT_EQ(draw_objects(view(photo), {}).pixels, photo.pixels);
  const DrawnObject object{{100, 100, 200, 180}, {}, "", {255, 0, 0}};
  const Image picture = draw_objects(view(photo), std::span(&object, 1));
  ASSERT_EQ(picture.size(), photo.size());
  for (int y = 0; y < 480; ++y)
    for (int x = 0; x < 640; ++x) {
      const bool far = x < 90 || x > 210 || y < 90 || y > 190;
      const bool inside = x > 110 && x < 190 && y > 110 && y < 170;
      if (far || inside) {
        ASSERT_EQ(at(picture, x, y), (Colour{90, 120, 60})) << x << "," << y;
      }
    }
  EXPECT_EQ(at(picture, 100, 140), (Colour{255, 0, 0}));
  EXPECT_EQ(at(picture, 199, 140), (Colour{255, 0, 0}));
  EXPECT_EQ(at(picture, 150, 179), (Colour{255, 0, 0}));
}

// On black, on white and on its own colour a box stands out from what is beside it, and its label's
// letters from their ground, by a fifth of the whole range and by a third.
TEST(DrawObjects, StandsOutOnAnyGround) {
  for (const std::int64_t number : {0, 1, 2, 3, 4, 5, 20, 79})
    for (const Colour ground : {Colour{0, 0, 0}, Colour{255, 255, 255}, colour_of(number)}) {
      const Image photo = blank_image({640, 640}, ground);
      const DrawnObject object{{300, 300, 500, 500}, {}, "WBC 87%", colour_of(number)};
      const Image picture = draw_objects(view(photo), std::span(&object, 1));
      const auto [low, high] = range(picture, {294, 400, 12, 1});  // across its left edge
      EXPECT_GT(high - low, 51) << number;
      const auto [darkest, lightest] = range(picture, {304, 282, 60, 12});  // in the label
      EXPECT_GT(lightest - darkest, 85) << number;
    }
}

TEST(DrawObjects, MasksLetThePhotoThrough) {
  Image photo = blank_image({640, 640}, {100, 100, 100});
  fill(photo, {0, 0, 640, 320}, {200, 200, 200});
  DrawnObject object{{160, 160, 480, 480}, {}, "", {255, 0, 0}};
  object.shape.polygons = {{160, 160, 480, 160, 480, 480, 160, 480}};
  const Image drawn = draw_objects(view(photo), std::span(&object, 1));
  EXPECT_GT(at(drawn, 300, 240)[0], 200);
  EXPECT_GT(luma(at(drawn, 300, 240)), luma(at(drawn, 300, 400)) + 30);  // light stays lighter
  EXPECT_EQ(at(drawn, 100, 240), (Colour{200, 200, 200}));
  // The same as run lengths of the photo.
  DrawnObject runs = object;
  runs.shape = {{}, runs_of(object.shape, photo.size())};
  EXPECT_EQ(draw_objects(view(photo), std::span(&runs, 1)).pixels, drawn.pixels);
}

TEST(DrawObjects, SmallPhotosAreEnlarged) {
  const Image grey{40, 20, 1, std::vector<std::uint8_t>(800, 128)};
  DrawnObject object{{10, 5, 20, 15}, {}, "dog 5%", colour_of(1)};
  object.shape = {{}, runs_of(Shape{{{10, 5, 20, 5, 20, 15, 10, 15}}, {}}, {40, 20})};
  const Image picture = draw_objects(view(grey), std::span(&object, 1));
  EXPECT_EQ(picture.size(), (ImageSize{640, 320}));
  EXPECT_EQ(at(picture, 100, 280), (Colour{128, 128, 128}));
  EXPECT_EQ(at(picture, 160, 120), colour_of(1));
  EXPECT_NE(at(picture, 250, 160), (Colour{128, 128, 128}));  // the mask
  EXPECT_EQ(draw_objects(view(grey), {}, 10).size(), grey.size());
}

// Labels of boxes side by side do not cover each other while there is room.
TEST(DrawObjects, LabelsMakeRoom) {
  const Image photo = blank_image({640, 480}, {0, 0, 0});
  const std::vector<DrawnObject> objects = {{{200, 200, 260, 260}, {}, "aaaaaaaa", {255, 0, 0}},
                                            {{240, 200, 300, 260}, {}, "bbbbbbbb", {0, 0, 255}}};
  const Image both = draw_objects(view(photo), objects);
  for (const std::size_t i : {0u, 1u}) {
    const Image alone = draw_objects(view(photo), std::span(&objects[i], 1));
    const auto plate = [&](const Image& image) {
      int pixels = 0;
      for (int y = 0; y < 480; ++y)
        for (int x = 0; x < 640; ++x) pixels += at(image, x, y) == objects[i].colour;
      return pixels;
    };
    // Of the boxes themselves a few pixels may be covered.
    EXPECT_GT(plate(both), 0.85 * plate(alone));
  }
}

TEST(DrawObjects, AnyBox) {
  const Image photo = blank_image({50, 30}, {0, 0, 0});
  const std::vector<DrawnObject> objects = {
      {{-1e9, -1e9, 1e9, 1e9}, {}, "everything and a very long name that does not fit", {9, 9, 9}},
      {{1e9, 1e9, 2e9, 2e9}, {}, "x", {255, 0, 0}},
      {{20, 20, 20, 20}, {}, "\xe7\x8b\x97", {255, 255, 0}, true},
      {{30, 20, 10, 5}, {}, "ends before it begins", {}},
      {{49.9, 29.9, 50, 30}, {{{49, 29, 5e5, 29, 5e5, -5e5}}, {}}, "z", {}}};
  EXPECT_EQ(draw_objects(view(photo), objects).size(), (ImageSize{640, 384}));
}

TEST(ColourOf, NeighboursDiffer) {
  std::set<Colour> seen;
  for (std::int64_t i = 0; i < 80; ++i) {
    seen.insert(colour_of(i));
    EXPECT_GT(luma(colour_of(i)), 30);
    const Colour a = colour_of(i), b = colour_of(i + 1);
    EXPECT_GT(std::abs(a[0] - b[0]) + std::abs(a[1] - b[1]) + std::abs(a[2] - b[2]), 100) << i;
  }
  EXPECT_EQ(seen.size(), 80u);
  EXPECT_EQ(scored_label("dog", 0.874), "dog 87%");
  EXPECT_EQ(scored_label("", 1), "100%");
}

}  // namespace
}  // namespace sgmae
