// Oracles: Pillow (tests/golden/image.py); the portable code for the vectorised one.
#include "sgmae/image/resize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "labels_golden.h"
#include "sgmae/base/rng.h"
#include "sgmae/image/decode.h"

namespace sgmae {
namespace {

Image load(const std::string& file, int channels) {
  return decode_image(read_file(golden_path(file)), channels);
}

Image noise(Rng& rng, int width, int height, int channels) {
  Image image{width, height, channels, {}};
  for (int i = 0; i < width * height * channels; ++i)
    image.pixels.push_back(static_cast<std::uint8_t>(rng.below(256)));
  return image;
}

Image mirrored(const Image& image) {
  Image result = image;
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x)
      for (int c = 0; c < image.channels; ++c)
        result.pixels[static_cast<std::size_t>((y * image.width + x) * image.channels + c)] =
            image.pixels[static_cast<std::size_t>(
                (y * image.width + image.width - 1 - x) * image.channels + c)];
  return result;
}

// Bit for bit: the same fixed-point arithmetic, rounded at the same places.
TEST(Resize, EqualsPillow) {
  int cases = 0;
  for (const auto& entry : golden("resize")) {
    const std::string source = entry["source"];
    const int channels = source == "resize_rgb.png" ? 3 : 1;
    const std::vector<int> corners = entry["box"], size = entry["size"];
    const CropBox box{corners[0], corners[1], corners[2] - corners[0], corners[3] - corners[1]};
    const Image image = load(source, channels);
    for (const Simd simd : {Simd::automatic, Simd::none}) {
      Image result;
      Resizer(simd).resize(crop(view(image), box), {size[0], size[1]}, false, result);
      EXPECT_EQ(result.pixels, load(entry["file"], channels).pixels) << entry["file"];
    }
    ++cases;
  }
  EXPECT_EQ(cases, 13);
}

TEST(Resize, BilinearEqualsPillow) {
  int cases = 0;
  for (const auto& entry : labels_golden("bilinear")) {
    const std::vector<int> corners = entry["box"], size = entry["size"];
    const int channels = entry["channels"];
    const CropBox box{corners[0], corners[1], corners[2] - corners[0], corners[3] - corners[1]};
    const Image image = load("resize_rgb.png", channels);
    for (const Simd simd : {Simd::automatic, Simd::none}) {
      Image result;
      Resizer(simd, ResizeFilter::bilinear)
          .resize(crop(view(image), box), {size[0], size[1]}, false, result);
      EXPECT_EQ(fingerprint(result.pixels), entry["pixels"]) << entry;
    }
    ++cases;
  }
  EXPECT_EQ(cases, 40);
}

// Bit for bit, at sizes around every vector width and far beyond the kernel's (1 pixel to many,
// many to 1), flipped and not.
TEST(Resize, VectorisedEqualsPortable) {
  Rng rng(1, 0, 0, Purpose::augment);
  Resizer fast(Simd::automatic), plain(Simd::none);
  Image a, b;
  for (int i = 0; i < 400; ++i) {
    const auto side = [&] { return 1 + static_cast<int>(rng.below(i % 5 == 0 ? 400 : 50)); };
    const Image image = noise(rng, side(), side(), i % 2 == 0 ? 3 : 1);
    const ImageSize target{side(), side()};
    fast.resize(view(image), target, i % 3 == 0, a);
    plain.resize(view(image), target, i % 3 == 0, b);
    ASSERT_EQ(a.pixels, b.pixels) << image.width << "x" << image.height << " to " << target.width
                                  << "x" << target.height;
  }
}

TEST(Resize, FlipAndWindowArePartsOfThePlainResult) {
  Rng rng(2, 0, 0, Purpose::augment);
  for (const Simd simd : {Simd::automatic, Simd::none}) {
    for (const int channels : {1, 3}) {
      Resizer resizer(simd);
      const Image image = noise(rng, 53, 41, channels);
      Image plain, flipped, part, part_flipped;
      resizer.resize(view(image), {30, 37}, false, plain);
      resizer.resize(view(image), {30, 37}, true, flipped);
      EXPECT_EQ(flipped.pixels, mirrored(plain).pixels);
      const CropBox window{4, 9, 21, 13};
      resizer.resize(view(image), {30, 37}, window, false, part);
      Image expected{21, 13, channels, {}};
      const ImageView cut = crop(view(plain), window);
      for (int y = 0; y < cut.height; ++y)
        expected.pixels.insert(expected.pixels.end(), cut.row(y),
                               cut.row(y) + cut.width * channels);
      EXPECT_EQ(part.pixels, expected.pixels);
      resizer.resize(view(image), {30, 37}, window, true, part_flipped);
      EXPECT_EQ(part_flipped.pixels, mirrored(expected).pixels);
    }
  }
}

// A window is a part of the whole result, and a part of the source that is as small as possible is
// enough for it.
TEST(Resize, WindowsOfAnySize) {
  Rng rng(3, 0, 0, Purpose::augment);
  int smaller = 0;
  for (int i = 0; i < 400; ++i) {
    const auto side = [&] { return 1 + static_cast<int>(rng.below(i % 5 == 0 ? 300 : 60)); };
    const Image image = noise(rng, side(), side(), i % 2 == 0 ? 3 : 1);
    const ImageSize target{side(), side()};
    CropBox window{static_cast<int>(rng.below(target.width)),
                   static_cast<int>(rng.below(target.height)), 0, 0};
    window.width = 1 + static_cast<int>(rng.below(target.width - window.x));
    window.height = 1 + static_cast<int>(rng.below(target.height - window.y));
    Resizer resizer(i % 3 == 0 ? Simd::none : Simd::automatic);
    const CropBox part = resizer.part_read(image.size(), target, window);
    smaller += part != whole(image.size());
    // Memory of its own, so that a sanitizer sees whatever is read beside it.
    const ImageView cut = crop(view(image), part);
    Image pixels{part.width, part.height, image.channels, {}};
    for (int y = 0; y < part.height; ++y)
      pixels.pixels.insert(pixels.pixels.end(), cut.row(y),
                           cut.row(y) + part.width * image.channels);
    Image all, got, from_part;
    resizer.resize(view(image), target, false, all);
    Image want{window.width, window.height, image.channels, {}};
    const ImageView seen = crop(view(all), window);
    for (int y = 0; y < seen.height; ++y)
      want.pixels.insert(want.pixels.end(), seen.row(y), seen.row(y) + seen.width * image.channels);
    if (i % 2 == 1) want = mirrored(want);
    resizer.resize(view(image), target, window, i % 2 == 1, got);
    resizer.resize(view(pixels), part, image.size(), target, window, i % 2 == 1, from_part);
    ASSERT_TRUE(got.pixels == want.pixels && from_part.pixels == want.pixels)
        << image.width << "x" << image.height << " to " << target.width << "x" << target.height
        << " at " << window.x << "," << window.y << " " << window.width << "x" << window.height;
  }
  EXPECT_GT(smaller, 200);
}

// A constant image stays that constant: the weights of every output sum to one within rounding.
TEST(Resize, KeepsAConstant) {
  for (const int value : {0, 1, 127, 255}) {
    const Image image{37, 29, 3,
                      std::vector<std::uint8_t>(37 * 29 * 3, static_cast<std::uint8_t>(value))};
    for (const ImageSize size : {ImageSize{5, 90}, ImageSize{37, 29}, ImageSize{64, 3}}) {
      const Image result = resize(view(image), size);
      EXPECT_TRUE(std::all_of(result.pixels.begin(), result.pixels.end(),
                              [&](std::uint8_t v) { return v == value; }));
    }
  }
}

// The longest row a JPEG can have, to one pixel: 16-bit halves of so many weights may not overflow.
TEST(Resize, VeryLongRow) {
  const Image image{65'500, 1, 1, std::vector<std::uint8_t>(65'500, 255)};
  for (const Simd simd : {Simd::automatic, Simd::none}) {
    Image result;
    Resizer(simd).resize(view(image), {2, 2}, false, result);
    EXPECT_EQ(result.pixels, std::vector<std::uint8_t>(4, 255));
  }
}

}  // namespace
}  // namespace sgmae
