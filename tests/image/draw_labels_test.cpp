// Oracles: pixels of a plain photo that must or must not have changed, and colours of the legend.
#include "sgmae/image/draw_labels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sgmae/image/draw_objects.h"

namespace sgmae {
namespace {

Colour at(const Image& image, int x, int y) {
  const std::uint8_t* p = image.pixels.data() + (y * image.width + x) * 3;
  return {p[0], p[1], p[2]};
}

Colour mixed(Colour ground, Colour colour, double strength) {
  Colour result{};
  for (std::size_t c = 0; c < 3; ++c)
    result[c] =
        static_cast<std::uint8_t>(std::lround(ground[c] + strength * (colour[c] - ground[c])));
  return result;
}

// Left of 200 class 0, right of 400 class 1, nothing between.
LabelMap stripes() {
  LabelMap map{{640, 300}, {}};
  for (int y = 0; y < 300; ++y)
    for (int x = 0; x < 640; ++x)
      map.labels.push_back(x < 200 ? 0 : x < 400 ? unlabelled_pixel : 1);
  return map;
}

constexpr Colour ground{90, 120, 60};

TEST(DrawLabels, PaintsWhatIsLabelled) {
  const Image photo = blank_image({640, 300}, ground);
  const Image picture = draw_labels(view(photo), stripes(), {"road", "sky"}, 0.5);
  EXPECT_EQ(picture.width, 640);
  EXPECT_GT(picture.height, 320);  // the legend
  for (const int y : {0, 150, 299}) {
    EXPECT_EQ(at(picture, 100, y), mixed(ground, colour_of(0), 0.5));
    EXPECT_EQ(at(picture, 300, y), ground);
    EXPECT_EQ(at(picture, 500, y), mixed(ground, colour_of(1), 0.5));
    // A line where classes meet.
    EXPECT_GT(at(picture, 199, y)[2], at(picture, 190, y)[2]);
    EXPECT_GT(at(picture, 399, y)[0], 180);
  }
}

// The legend has the colours of the classes that are there and no others, on paper.
TEST(DrawLabels, Legend) {
  const Image photo = blank_image({640, 300}, ground);
  const Image picture = draw_labels(view(photo), stripes(), {"road", "sky", "tree"}, 0.7);
  const auto in_legend = [&](Colour colour) {
    for (int y = 300; y < picture.height; ++y)
      for (int x = 0; x < 640; ++x)
        if (at(picture, x, y) == colour) return true;
    return false;
  };
  EXPECT_TRUE(in_legend(colour_of(0)));
  EXPECT_TRUE(in_legend(colour_of(1)));
  EXPECT_FALSE(in_legend(colour_of(2)));
  EXPECT_EQ(at(picture, 0, 300), (Colour{255, 255, 255}));
  const LabelMap none{{640, 300}, std::vector<std::uint8_t>(640 * 300, unlabelled_pixel)};
  const Image plain = draw_labels(view(photo), none, {"road"});
  EXPECT_TRUE(std::equal(photo.pixels.begin(), photo.pixels.end(), plain.pixels.begin()));
}

// Classes whose own colours are alike (55 steps of the golden angle are whole turns) are told apart
// where they meet, and keep their colours in the maps beside each other.
TEST(DrawLabels, TellsClassesOfAPictureApart) {
  const Image photo = blank_image({640, 300}, ground);
  LabelMap map = stripes(), other = map;
  for (std::uint8_t& label : map.labels) label = label == 0 ? 0 : 55;
  for (std::uint8_t& label : other.labels) label = 55;
  const Image picture = draw_labels_beside(view(photo), map, {}, "", &other);
  const Colour a = at(picture, 748, 150), b = at(picture, 1148, 150);
  int distance = 0;
  for (std::size_t c = 0; c < 3; ++c) distance += std::abs(a[c] - b[c]);
  EXPECT_GT(distance, 40);
  EXPECT_EQ(at(picture, 1396, 150), b);
}

// Small and grey photos, many classes, a class without a name.
TEST(DrawLabels, AnySize) {
  for (const ImageSize size : {ImageSize{1, 1}, {3, 200}, {700, 2}, {50, 40}}) {
    const Image photo{
        size.width, size.height, 1,
        std::vector<std::uint8_t>(
            static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height), 100)};
    LabelMap map{size, {}};
    for (std::size_t i = 0; i < photo.pixels.size(); ++i)
      map.labels.push_back(static_cast<std::uint8_t>(i));
    const Image picture = draw_labels(view(photo), map, {"a very long name of a class indeed"});
    EXPECT_EQ(picture.channels, 3);
    EXPECT_GE(std::max(picture.width, picture.height), 640);
  }
}

TEST(DrawLabels, Beside) {
  const Image photo = blank_image({640, 300}, ground);
  const LabelMap map = stripes();
  const Image pair = draw_labels_beside(view(photo), map, {"road", "sky"}, "1.png");
  EXPECT_EQ(pair.width, 2 * 640 + 8);
  EXPECT_EQ(at(pair, 100, 150), ground);
  EXPECT_NE(at(pair, 748, 150), ground);
  EXPECT_EQ(draw_labels_beside(view(photo), map, {"road", "sky"}, "", &map).width, 3 * 640 + 16);
}

}  // namespace
}  // namespace sgmae
