// Oracle: Pillow 13's transform() and rotate() (tests/golden/augment.py), through randaugment_test;
// here maps whose result is known.
#include "sgmae/image/affine.h"

#include <gtest/gtest.h>

namespace sgmae {
namespace {

Image numbered(int width, int height, int channels) {
  Image image{width, height, channels, {}};
  for (int i = 0; i < width * height * channels; ++i)
    image.pixels.push_back(static_cast<std::uint8_t>(i * 7 + 3));
  return image;
}

TEST(Affine, IdentityReturnsTheImage) {
  for (const int channels : {1, 3}) {
    const Image image = numbered(5, 4, channels);
    const std::vector<std::uint8_t> fill(static_cast<std::size_t>(channels), 9);
    EXPECT_EQ(transform(view(image), {1, 0, 0, 0, 1, 0}, fill).pixels, image.pixels);
    EXPECT_EQ(transform(view(image), rotation(image.size(), 0), fill).pixels, image.pixels);
  }
}

TEST(Affine, WholePixelShiftsMoveAndFill) {
  const Image image{3, 2, 1, {1, 2, 3, 4, 5, 6}};
  EXPECT_EQ(transform(view(image), {1, 0, 1, 0, 1, 0}, {9}).pixels,
            (std::vector<std::uint8_t>{2, 3, 9, 5, 6, 9}));
  EXPECT_EQ(transform(view(image), {1, 0, 0, 0, 1, -1}, {9}).pixels,
            (std::vector<std::uint8_t>{9, 9, 9, 1, 2, 3}));
}

TEST(Affine, ARightAngleTurnsCounterClockwise) {
  const Image image{2, 2, 1, {1, 2, 3, 4}};
  EXPECT_EQ(transform(view(image), rotation(image.size(), 90), {9}).pixels,
            (std::vector<std::uint8_t>{2, 4, 1, 3}));
}

TEST(Affine, APartOfALargerImageIsReadWithItsStride) {
  const Image image = numbered(6, 5, 3);
  const CropBox box{1, 2, 4, 3};
  const Image part = transform(crop(view(image), box), {1, 0, 0, 0, 1, 0}, {0, 0, 0});
  for (int y = 0; y < 3; ++y)
    for (int x = 0; x < 4 * 3; ++x)
      EXPECT_EQ(part.pixels[static_cast<std::size_t>(y * 12 + x)],
                image.pixels[static_cast<std::size_t>((y + 2) * 18 + 3 + x)]);
}

}  // namespace
}  // namespace sgmae
