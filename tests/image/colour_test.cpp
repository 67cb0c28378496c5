// Oracle: Pillow 13's ImageOps and ImageEnhance (tests/golden/augment.py), through randaugment_test
// for every operation and magnitude; here closed forms.
#include "sgmae/image/colour.h"

#include <gtest/gtest.h>

namespace sgmae {
namespace {

Image grey_row(std::vector<std::uint8_t> values) {
  return {static_cast<int>(values.size()), 1, 1, std::move(values)};
}

TEST(Colour, AutoContrastFillsTheRange) {
  Image image = grey_row({50, 100, 150});
  auto_contrast(image);
  EXPECT_EQ(image.pixels, (std::vector<std::uint8_t>{0, 127, 255}));
}

TEST(Colour, AChannelOfOneValueStays) {
  for (const auto operation : {auto_contrast, equalize}) {
    Image image = grey_row({70, 70, 70});
    operation(image);
    EXPECT_EQ(image.pixels, (std::vector<std::uint8_t>{70, 70, 70}));
  }
}

TEST(Colour, EqualizeSpreadsAStepHistogramEvenly) {
  std::vector<std::uint8_t> values;
  for (int value = 0; value < 64; ++value) values.insert(values.end(), 16, 64 + value);
  Image image = grey_row(values);
  equalize(image);
  EXPECT_EQ(image.pixels.front(), 0);
  EXPECT_EQ(image.pixels[16], 5);       // (step / 2 + 16) / step, where step = 63 * 16 / 255 = 3
  EXPECT_EQ(image.pixels.back(), 255);  // 336 before it is clamped
}

TEST(Colour, TablesMapValues) {
  const std::vector<std::uint8_t> values{0, 90, 127, 128, 200, 255};
  const auto mapped = [&](auto operation) {
    Image image = grey_row(values);
    operation(image);
    return image.pixels;
  };
  using V = std::vector<std::uint8_t>;
  EXPECT_EQ(mapped([](Image& i) { invert(i); }), (V{255, 165, 128, 127, 55, 0}));
  EXPECT_EQ(mapped([](Image& i) { posterize(i, 8); }), values);
  EXPECT_EQ(mapped([](Image& i) { posterize(i, 1); }), (V{0, 0, 0, 128, 128, 128}));
  EXPECT_EQ(mapped([](Image& i) { posterize(i, 0); }), (V{0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(mapped([](Image& i) { solarize(i, 128); }), (V{0, 90, 127, 127, 55, 0}));
  EXPECT_EQ(mapped([](Image& i) { solarize_add(i, 100); }), (V{100, 190, 227, 128, 200, 255}));
}

TEST(Colour, FactorOneLeavesEveryEnhancementAsItIs) {
  for (const auto operation : {adjust_colour, adjust_contrast, adjust_brightness, adjust_sharpness})
    for (const int channels : {1, 3}) {
      Image image{4, 3, channels, {}};
      for (int i = 0; i < 12 * channels; ++i)
        image.pixels.push_back(static_cast<std::uint8_t>(i * 37));
      const auto before = image.pixels;
      operation(image, 1.0);
      EXPECT_EQ(image.pixels, before);
    }
}

TEST(Colour, BrightnessIsAFactor) {
  Image image = grey_row({10, 100, 200});
  adjust_brightness(image, 1.5);
  EXPECT_EQ(image.pixels, (std::vector<std::uint8_t>{15, 150, 255}));
}

TEST(Colour, SharpnessLeavesTheBorder) {
  Image image{3, 3, 1, {0, 0, 0, 0, 130, 0, 0, 0, 0}};
  adjust_sharpness(image, 0);
  EXPECT_EQ(image.pixels, (std::vector<std::uint8_t>{0, 0, 0, 0, 50, 0, 0, 0, 0}));
  Image narrow{2, 1, 1, {3, 4}};
  adjust_sharpness(narrow, 0);
  EXPECT_EQ(narrow.pixels, (std::vector<std::uint8_t>{3, 4}));
}

}  // namespace
}  // namespace sgmae
