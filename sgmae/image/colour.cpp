#include "sgmae/image/colour.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

using Table = std::array<std::uint8_t, 256>;
using Histogram = std::array<std::int64_t, 256>;

std::uint8_t clamped(std::int64_t value) {
  return static_cast<std::uint8_t>(std::clamp<std::int64_t>(value, 0, 255));
}

// value -> function(value), the same for all channels.
template <class Function>
void map_values(Image& image, Function function) {
  Table table;
  for (int value = 0; value < 256; ++value)
    table[static_cast<std::size_t>(value)] = clamped(function(value));
  for (std::uint8_t& value : image.pixels) value = table[value];
}

// A table of its own for each channel, made from the channel's histogram.
template <class MakeTable>
void map_channels(Image& image, MakeTable make_table) {
  const auto channels = static_cast<std::size_t>(image.channels);
  for (std::size_t c = 0; c < channels; ++c) {
    Histogram histogram{};
    for (std::size_t i = c; i < image.pixels.size(); i += channels) ++histogram[image.pixels[i]];
    const Table table = make_table(histogram);
    for (std::size_t i = c; i < image.pixels.size(); i += channels)
      image.pixels[i] = table[image.pixels[i]];
  }
}

Table identity() {
  Table table;
  std::iota(table.begin(), table.end(), std::uint8_t{0});
  return table;
}

Table stretching(const Histogram& histogram) {
  int low = 0, high = 255;
  while (low < 255 && histogram[static_cast<std::size_t>(low)] == 0) ++low;
  while (high > 0 && histogram[static_cast<std::size_t>(high)] == 0) --high;
  if (high <= low) return identity();
  const double scale = 255.0 / (high - low), offset = -low * scale;
  Table table;
  for (int value = 0; value < 256; ++value)
    table[static_cast<std::size_t>(value)] =
        clamped(static_cast<std::int64_t>(value * scale + offset));
  return table;
}

Table flattening(const Histogram& histogram) {
  const std::int64_t pixels = std::accumulate(histogram.begin(), histogram.end(), std::int64_t{0});
  const auto brightest = std::find_if(histogram.rbegin(), histogram.rend(),
                                      [](std::int64_t count) { return count != 0; });
  const std::int64_t step = brightest == histogram.rend() ? 0 : (pixels - *brightest) / 255;
  if (step == 0) return identity();
  Table table;
  std::int64_t below = step / 2;
  for (std::size_t value = 0; value < 256; ++value) {
    table[value] = clamped(below / step);
    below += histogram[value];
  }
  return table;
}

// ITU-R 601 luma in 16-bit fixed point, as Pillow's convert("L").
std::uint8_t grey(const std::uint8_t* rgb) {
  return static_cast<std::uint8_t>((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >>
                                   16);
}

// plain + factor * (value - plain), cut off to an integer, in single precision as Pillow.
std::uint8_t blended(std::uint8_t plain, std::uint8_t value, float factor) {
  const float blend = static_cast<float>(plain) + factor * static_cast<float>(value - plain);
  return static_cast<std::uint8_t>(std::clamp(blend, 0.0f, 255.0f));
}

void blend_with_constant(Image& image, std::uint8_t plain, double factor) {
  map_values(image, [&](int value) {
    return blended(plain, static_cast<std::uint8_t>(value), static_cast<float>(factor));
  });
}

// Pillow's SMOOTH: the centre counts 5, its eight neighbours 1 each; borders stay.
Image smoothed(const Image& image) {
  Image result = image;
  const std::ptrdiff_t step = image.channels, row = step * image.width;
  for (int y = 1; y + 1 < image.height; ++y)
    for (std::ptrdiff_t i = y * row + step; i < (y + 1) * row - step; ++i) {
      const std::uint8_t* p = image.pixels.data() + i;
      const int sum = p[-row - step] + p[-row] + p[-row + step] + p[-step] + 5 * p[0] + p[step] +
                      p[row - step] + p[row] + p[row + step];
      result.pixels[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>((2 * sum + 13) / 26);
    }
  return result;
}

}  // namespace

void auto_contrast(Image& image) {
  map_channels(image, stretching);
}

void equalize(Image& image) {
  map_channels(image, flattening);
}

void invert(Image& image) {
  map_values(image, [](int value) { return 255 - value; });
}

void posterize(Image& image, int bits) {
  SGMAE_ASSERT(bits >= 0 && bits <= 8);
  const int mask = 0xff << (8 - bits);
  map_values(image, [&](int value) { return value & mask; });
}

void solarize(Image& image, int threshold) {
  map_values(image, [&](int value) { return value < threshold ? value : 255 - value; });
}

void solarize_add(Image& image, int addend) {
  map_values(image, [&](int value) { return value < 128 ? value + addend : value; });
}

void adjust_colour(Image& image, double factor) {
  if (image.channels == 1) return;  // it is its own grey image
  const float f = static_cast<float>(factor);
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
    const std::uint8_t plain = grey(&image.pixels[i]);
    for (std::size_t c = i; c < i + 3; ++c) image.pixels[c] = blended(plain, image.pixels[c], f);
  }
}

void adjust_contrast(Image& image, double factor) {
  std::int64_t sum = 0;
  const auto channels = static_cast<std::size_t>(image.channels);
  for (std::size_t i = 0; i < image.pixels.size(); i += channels)
    sum += channels == 3 ? grey(&image.pixels[i]) : image.pixels[i];
  const double mean = static_cast<double>(sum) / (static_cast<double>(image.width) * image.height);
  blend_with_constant(image, clamped(static_cast<std::int64_t>(mean + 0.5)), factor);
}

void adjust_brightness(Image& image, double factor) {
  blend_with_constant(image, 0, factor);
}

void adjust_sharpness(Image& image, double factor) {
  const Image plain = smoothed(image);
  const float f = static_cast<float>(factor);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = blended(plain.pixels[i], image.pixels[i], f);
}

}  // namespace sgmae
