#include "sgmae/image/photometric.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

using Table = std::array<std::uint8_t, 256>;
using Pixel = std::array<std::uint8_t, 3>;

constexpr int hues = 180;

// value * factor + delta of every byte.
Table linear(double factor, double delta) {
  Table table{};
  const auto a = static_cast<float>(factor), b = static_cast<float>(delta);
  for (std::size_t value = 0; value < table.size(); ++value) {
    const float changed = static_cast<float>(value) * a + b;
    table[value] = static_cast<std::uint8_t>(std::clamp(changed, 0.f, 255.f));
  }
  return table;
}

// OpenCV's divisions by whole numbers: products with rounded reciprocals of 12 fractional bits.
constexpr int fraction_bits = 12;
struct Reciprocals {
  std::array<int, 256> saturation{}, hue{};  // 255 / n and (180 / 6) / n
  constexpr Reciprocals() {
    for (int n = 1; n < 256; ++n) {
      const auto i = static_cast<std::size_t>(n);
      saturation[i] = (2 * (255 << fraction_bits) + n) / (2 * n);
      hue[i] = (2 * (hues / 6 << fraction_bits) + n) / (2 * n);
    }
  }
};
constexpr Reciprocals reciprocals;

int shifted(int product) {
  return (product + (1 << (fraction_bits - 1))) >> fraction_bits;
}

Pixel hsv_of(const std::uint8_t* rgb) {
  const int r = rgb[0], g = rgb[1], b = rgb[2];
  const int value = std::max(r, std::max(g, b)), range = value - std::min(r, std::min(g, b));
  // Counted from red, green or blue, whichever is the largest.
  const int from = value == r ? g - b : value == g ? b - r + 2 * range : r - g + 4 * range;
  int hue = shifted(from * reciprocals.hue[static_cast<std::size_t>(range)]);
  if (hue < 0) hue += hues;
  const int saturation = shifted(range * reciprocals.saturation[static_cast<std::size_t>(value)]);
  return {static_cast<std::uint8_t>(hue), static_cast<std::uint8_t>(saturation),
          static_cast<std::uint8_t>(value)};
}

// A float from 0 to 255 to the nearest whole number, halves to even.
std::uint8_t nearest(float value) {
  constexpr float whole_numbers = 1 << 23;  // from there on floats have no fraction
  return static_cast<std::uint8_t>((value + whole_numbers) - whole_numbers);
}

// 1 - a * b, rounded once; the product is exact in double precision.
float one_less(float a, float b) {
  return static_cast<float>(1 - static_cast<double>(a) * b);
}

void to_rgb(const Pixel& hsv, std::uint8_t* rgb) {
  // Which of the four below red, green and blue are, by sixth of the circle.
  constexpr std::uint8_t parts[6][3] = {{0, 3, 1}, {2, 0, 1}, {1, 0, 3},
                                        {1, 2, 0}, {3, 1, 0}, {0, 1, 2}};
  const float saturation = static_cast<float>(hsv[1]) * (1.f / 255);
  const float value = static_cast<float>(hsv[2]) * (1.f / 255);
  const float position = static_cast<float>(hsv[0]) * (6.f / hues);
  const int sector = static_cast<int>(position);
  const float part = position - static_cast<float>(sector);
  // The largest and the least colour, the one that fades and the one that grows.
  const float colours[4] = {value, value * (1 - saturation), value * one_less(saturation, part),
                            value * one_less(saturation, 1 - part)};
  for (std::size_t c = 0; c < 3; ++c) rgb[c] = nearest(colours[parts[sector][c]] * 255);
}

template <class Change>
void change_hsv(Image& image, const Change& change) {
  SGMAE_ASSERT(image.channels == 1 || image.channels == 3);
  if (image.channels == 1) return;
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
    Pixel hsv = hsv_of(&image.pixels[i]);
    change(hsv);
    to_rgb(hsv, &image.pixels[i]);
  }
}

}  // namespace

void add_brightness(Image& image, double delta) {
  const Table table = linear(1, delta);
  for (std::uint8_t& value : image.pixels) value = table[value];
}

void multiply_contrast(Image& image, double factor) {
  const Table table = linear(factor, 0);
  for (std::uint8_t& value : image.pixels) value = table[value];
}

void multiply_saturation(Image& image, double factor) {
  const Table table = linear(factor, 0);
  change_hsv(image, [&](Pixel& hsv) { hsv[1] = table[hsv[1]]; });
}

void shift_hue(Image& image, int delta) {
  const int forward = (delta % hues + hues) % hues;
  change_hsv(image,
             [&](Pixel& hsv) { hsv[0] = static_cast<std::uint8_t>((hsv[0] + forward) % hues); });
}

PhotometricDistortion draw_photometric(Rng& rng) {
  constexpr double brightness = 32, low = 0.5, high = 1.5;
  constexpr int hue = 18;
  const auto heads = [&] { return rng.uniform() < 0.5; };
  PhotometricDistortion drawn;
  if (heads()) drawn.brightness = rng.uniform(-brightness, brightness);
  drawn.contrast_first = heads();
  if (heads()) drawn.contrast = rng.uniform(low, high);
  if (heads()) drawn.saturation = rng.uniform(low, high);
  if (heads()) drawn.hue = static_cast<int>(rng.below(2 * hue)) - hue;
  return drawn;
}

void apply(const PhotometricDistortion& distortion, Image& image) {
  if (distortion.brightness) add_brightness(image, *distortion.brightness);
  if (distortion.contrast && distortion.contrast_first)
    multiply_contrast(image, *distortion.contrast);
  if (distortion.saturation) multiply_saturation(image, *distortion.saturation);
  if (distortion.hue) shift_hue(image, *distortion.hue);
  if (distortion.contrast && !distortion.contrast_first)
    multiply_contrast(image, *distortion.contrast);
}

}  // namespace sgmae
