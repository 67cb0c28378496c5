// Oracles: OpenCV and numpy (tests/golden/labels.py) for each operation, bit for bit; the
// probabilities that the header states.
#include "sgmae/image/photometric.h"

#include <gtest/gtest.h>

#include <cmath>

#include "labels_golden.h"
#include "sgmae/image/decode.h"

namespace sgmae {
namespace {

// The photo of the golden file and its noise, one pixel a row.
Image column() {
  Image image = decode_image(read_file(golden_path("resize_rgb.png")), 3);
  for (std::uint64_t k = 0; k < 12000; ++k)
    image.pixels.push_back(static_cast<std::uint8_t>(k * 2654435761u >> 13));
  image.width = 1;
  image.height = static_cast<int>(image.pixels.size() / 3);
  return image;
}

TEST(Photometric, OperationsEqualOpenCv) {
  const Image before = column();
  int cases = 0;
  for (const auto& entry : labels_golden("photometric")) {
    Image image = before;
    const std::string op = entry["op"];
    const double argument = entry["argument"];
    if (op == "brightness") add_brightness(image, argument);
    if (op == "contrast") multiply_contrast(image, argument);
    if (op == "saturation") multiply_saturation(image, argument);
    if (op == "hue") shift_hue(image, static_cast<int>(argument));
    EXPECT_EQ(fingerprint(image.pixels), entry["pixels"]) << op << " " << argument;
    ++cases;
  }
  EXPECT_EQ(cases, 17);
}

TEST(Photometric, GreyHasNoHue) {
  Image image{5, 1, 1, {0, 10, 100, 200, 255}};
  const Image before = image;
  multiply_saturation(image, 1.5);
  shift_hue(image, 9);
  EXPECT_EQ(image.pixels, before.pixels);
  multiply_contrast(image, 0.5);
  EXPECT_EQ(image.pixels, (std::vector<std::uint8_t>{0, 5, 50, 100, 127}));
}

// Of 4000 draws each change happens in half, within 5 standard deviations (2000 ± 158), and spans
// its range.
TEST(Photometric, Draws) {
  int brightness = 0, contrast = 0, first = 0, saturation = 0, hue = 0, lowest = 0, highest = 0;
  double dark = 0, bright = 0;
  for (std::uint64_t i = 0; i < 4000; ++i) {
    Rng rng(1, 0, i, Purpose::photometric);
    const PhotometricDistortion drawn = draw_photometric(rng);
    brightness += drawn.brightness.has_value();
    contrast += drawn.contrast.has_value();
    first += drawn.contrast_first;
    saturation += drawn.saturation.has_value();
    hue += drawn.hue.has_value();
    dark = std::min(dark, drawn.brightness.value_or(0));
    bright = std::max(bright, drawn.brightness.value_or(0));
    lowest = std::min(lowest, drawn.hue.value_or(0));
    highest = std::max(highest, drawn.hue.value_or(0));
    for (const auto& factor : {drawn.contrast, drawn.saturation})
      EXPECT_TRUE(!factor || (*factor >= 0.5 && *factor < 1.5));
  }
  for (const int count : {brightness, contrast, first, saturation, hue})
    EXPECT_NEAR(count, 2000, 158);
  EXPECT_TRUE(dark >= -32 && dark < -31 && bright < 32 && bright > 31);
  EXPECT_EQ(lowest, -18);
  EXPECT_EQ(highest, 17);
}

TEST(Photometric, AppliesInOrder) {
  const Image before = column();
  PhotometricDistortion drawn{20, 1.4, true, 0.6, -5};
  Image got = before, want = before;
  apply(drawn, got);
  add_brightness(want, 20);
  multiply_contrast(want, 1.4);
  multiply_saturation(want, 0.6);
  shift_hue(want, -5);
  EXPECT_EQ(got.pixels, want.pixels);
  drawn.contrast_first = false;
  got = want = before;
  apply(drawn, got);
  add_brightness(want, 20);
  multiply_saturation(want, 0.6);
  shift_hue(want, -5);
  multiply_contrast(want, 1.4);
  EXPECT_EQ(got.pixels, want.pixels);
  got = before;
  apply({}, got);
  EXPECT_EQ(got.pixels, before.pixels);
}

}  // namespace
}  // namespace sgmae
