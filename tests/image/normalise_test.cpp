// Oracle: (pixel / 255 - mean) / std in double precision.
#include "sgmae/image/normalise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sgmae/base/rng.h"

namespace sgmae {
namespace {

Image noise(int width, int height, int channels) {
  Rng rng(1, 0, 0, Purpose::augment);
  Image image{width, height, channels, {}};
  for (int i = 0; i < width * height * channels; ++i)
    image.pixels.push_back(static_cast<std::uint8_t>(rng.below(256)));
  return image;
}

// Within 4e-7: the constants' and the result's rounding to fp32 at magnitudes up to 3.
TEST(Normalise, FollowsTheFormula) {
  for (const int channels : {1, 3}) {
    for (const int width : {1, 7, 8, 9, 10, 31}) {
      const Image image = noise(width, 3, channels);
      const Normalisation n = default_normalisation(channels);
      const auto count = static_cast<std::size_t>(width * 3);
      std::vector<float> fast(image.pixels.size()), plain(image.pixels.size());
      normalise(image, n, fast.data());
      normalise(image, n, plain.data(), Simd::none);
      EXPECT_EQ(fast, plain);
      for (std::size_t c = 0; c < n.mean.size(); ++c)
        for (std::size_t i = 0; i < count; ++i) {
          const double pixel = image.pixels[i * n.mean.size() + c];
          const double expected = (pixel / 255 - n.mean[c]) / n.std[c];
          EXPECT_NEAR(fast[c * count + i], expected, 4e-7);
        }
    }
  }
}

TEST(Normalise, OnACanvas) {
  for (const Simd simd : {Simd::automatic, Simd::none})
    for (const int channels : {1, 3})
      for (const int width : {1, 9, 10, 23, 300}) {
        const Image image = noise(width, 3, channels);
        const Normalisation n = default_normalisation(channels);
        std::vector<float> alone(image.pixels.size());
        normalise(image, n, alone.data(), simd);
        for (const ImageSize canvas : {ImageSize{width, 3}, ImageSize{width + 4, 5}}) {
          const auto values = [&](int w, int h) { return static_cast<std::size_t>(w * h); };
          const std::size_t plane = values(canvas.width, canvas.height);
          std::vector<float> want(plane * static_cast<std::size_t>(channels), 0.f);
          for (int c = 0; c < channels; ++c)
            for (int y = 0; y < 3; ++y)
              for (int x = 0; x < width; ++x)
                want[static_cast<std::size_t>(c) * plane + values(canvas.width, y) +
                     static_cast<std::size_t>(x)] =
                    alone[values(width, 3 * c + y) + static_cast<std::size_t>(x)];
          std::vector<float> got(want.size(), 7.f);
          normalise(image, n, canvas, got.data(), simd);
          EXPECT_EQ(got, want) << width << " on " << canvas.width;
        }
      }
}

// Back to the same 8-bit values.
TEST(Denormalise, UndoesNormalise) {
  for (const int channels : {1, 3}) {
    const Image image = noise(23, 11, channels);
    const Normalisation n = default_normalisation(channels);
    std::vector<float> values(image.pixels.size());
    normalise(image, n, values.data());
    EXPECT_EQ(denormalise(values.data(), channels, image.size(), n).pixels, image.pixels);
  }
}

TEST(Denormalise, ClampsAndSurvivesNonFiniteValues) {
  const float values[] = {-9, 9, std::numeric_limits<float>::quiet_NaN(),
                          std::numeric_limits<float>::infinity()};
  const Image image = denormalise(values, 1, {4, 1}, default_normalisation(1));
  EXPECT_EQ(image.pixels, (std::vector<std::uint8_t>{0, 255, 0, 255}));
}

}  // namespace
}  // namespace sgmae
