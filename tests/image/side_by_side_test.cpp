// Oracle: pixels counted and placed by hand.
#include "sgmae/image/side_by_side.h"

#include <gtest/gtest.h>

#include "sgmae/image/draw.h"

namespace sgmae {
namespace {

int count(const Image& image, Colour colour) {
  int n = 0;
  for (std::size_t i = 0; i < image.pixels.size(); i += 3)
    n += Colour{image.pixels[i], image.pixels[i + 1], image.pixels[i + 2]} == colour;
  return n;
}

TEST(SideBySide, PicturesStandUnderTheirHeadings) {
  constexpr Colour red{200, 0, 0}, green{0, 200, 0}, white{255, 255, 255};
  const std::vector<HeadedPicture> pictures{{"", blank_image({200, 300}, red)},
                                            {"", blank_image({40, 100}, green)}};
  const Image plain = side_by_side(pictures, "");
  EXPECT_EQ(plain.width, 248);
  EXPECT_GT(plain.height, 300 + 30);  // room for two lines
  EXPECT_EQ(count(plain, red), 200 * 300);
  EXPECT_EQ(count(plain, green), 40 * 100);
  EXPECT_EQ(count(plain, white), 248 * plain.height - 200 * 300 - 40 * 100);

  // Text covers nothing of the pictures and keeps to its own.
  const std::string long_text(200, 'x');
  std::vector<HeadedPicture> headed = pictures;
  headed[0].heading = long_text;
  const Image sheet = side_by_side(headed, "");
  EXPECT_EQ(count(sheet, red), 200 * 300);
  EXPECT_LT(count(sheet, white), count(plain, white));
  for (int y = 0; y < sheet.height; ++y)
    EXPECT_EQ(sheet.pixels[static_cast<std::size_t>(y * sheet.width + 204) * 3], 255);
  EXPECT_NE(side_by_side(pictures, "title").pixels, plain.pixels);
}

}  // namespace
}  // namespace sgmae
