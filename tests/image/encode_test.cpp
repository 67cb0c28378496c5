// Oracle: our own decoder, itself held against Pillow in decode_test.cpp.
#include "sgmae/image/encode.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "sgmae/base/rng.h"
#include "sgmae/image/decode.h"

namespace sgmae {
namespace {

// PNG loses nothing.
TEST(EncodePng, RoundTrip) {
  Rng rng(1, 0, 0, Purpose::augment);
  for (const int channels : {1, 3}) {
    for (const ImageSize size : {ImageSize{1, 1}, ImageSize{31, 17}, ImageSize{200, 3}}) {
      Image image{size.width, size.height, channels, {}};
      for (int i = 0; i < size.width * size.height * channels; ++i)
        image.pixels.push_back(static_cast<std::uint8_t>(rng.below(256)));
      const Image back = decode_image(encode_png(view(image)), channels);
      EXPECT_EQ(back.size(), size);
      EXPECT_EQ(back.pixels, image.pixels);
    }
  }
}

TEST(EncodePng, TakesAPartOfAnImage) {
  Image image{4, 2, 1, {0, 1, 2, 3, 4, 5, 6, 7}};
  const Image back = decode_image(encode_png(crop(view(image), {1, 0, 2, 2})), 1);
  EXPECT_EQ(back.pixels, (std::vector<std::uint8_t>{1, 2, 5, 6}));
}

double mean_difference(const Image& a, const Image& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(a.pixels[i] - b.pixels[i]);
  return sum / static_cast<double>(a.pixels.size());
}

// A smooth image survives; a rounding of the quantisation table's steps is what it loses. Finer
// quality loses less.
TEST(EncodeJpeg, KeepsSmoothImages) {
  for (const int channels : {1, 3}) {
    for (const ImageSize size : {ImageSize{1, 1}, ImageSize{31, 17}, ImageSize{200, 3}}) {
      Image image{size.width, size.height, channels, {}};
      for (int y = 0; y < size.height; ++y)
        for (int x = 0; x < size.width; ++x)
          for (int c = 0; c < channels; ++c)
            image.pixels.push_back(static_cast<std::uint8_t>(40 + x + 3 * y));
      const auto fine = encode_jpeg(view(image), 95), coarse = encode_jpeg(view(image), 20);
      const Image back = decode_image(fine, channels);
      EXPECT_EQ(back.size(), size);
      EXPECT_LT(mean_difference(back, image), 1.0);
      EXPECT_LE(mean_difference(back, image),
                mean_difference(decode_image(coarse, channels), image));
      EXPECT_LE(coarse.size(), fine.size());
      EXPECT_EQ(read_image_info(fine).channels, channels);
    }
  }
}

}  // namespace
}  // namespace sgmae
