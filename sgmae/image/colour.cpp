#include "sgmae/image/colour.h"

#include <algorithm>
#include <array>
#include <cmath>
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

// Hue (the circle in 255 steps, from red), saturation and value.
struct Hsv {
  std::uint8_t hue, saturation, value;
};

Hsv hsv_of(const std::uint8_t* rgb) {
  const int r = rgb[0], g = rgb[1], b = rgb[2];
  const int most = std::max({r, g, b}), range = most - std::min({r, g, b});
  const auto value = static_cast<std::uint8_t>(most);
  if (range == 0) return {0, 0, value};
  const auto span = static_cast<float>(range);
  // How far below the largest each is, as a share of the range.
  const float below_r = static_cast<float>(most - r) / span;
  const float below_g = static_cast<float>(most - g) / span;
  const float below_b = static_cast<float>(most - b) / span;
  // In sixths of the circle, counted from red, green or blue, whichever is the largest.
  const float sixths = r == most   ? below_b - below_g
                       : g == most ? static_cast<float>(2.0 + below_r - below_b)
                                   : static_cast<float>(4.0 + below_g - below_r);
  const auto hue = static_cast<float>(std::fmod(sixths / 6.0 + 1.0, 1.0));
  return {static_cast<std::uint8_t>(hue * 255.0),
          static_cast<std::uint8_t>(span / static_cast<float>(most) * 255.0), value};
}

void to_rgb(const Hsv& hsv, std::uint8_t* rgb) {
  const std::uint8_t v = hsv.value;
  const double position = hsv.hue * 6.0 / 255.0;
  const int sector = static_cast<int>(position);
  const float part = static_cast<float>(position - sector);
  const float saturation = static_cast<float>(hsv.saturation / 255.0);
  const auto faded = [&](double by) {
    return static_cast<std::uint8_t>(std::clamp(std::round(v * (1.0 - by)), 0.0, 255.0));
  };
  // The largest and the least colour, the one that fades and the one that grows in this sixth.
  const std::uint8_t colours[4] = {v, faded(saturation), faded(saturation * part),
                                   faded(saturation * (1.0 - part))};
  constexpr std::uint8_t parts[6][3] = {{0, 3, 1}, {2, 0, 1}, {1, 0, 3},
                                        {1, 2, 0}, {3, 1, 0}, {0, 1, 2}};
  for (std::size_t c = 0; c < 3; ++c) rgb[c] = colours[parts[sector % 6][c]];
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

void turn_hue(Image& image, double turn) {
  if (image.channels == 1) return;
  const int steps = static_cast<int>(turn * 255);
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
    Hsv hsv = hsv_of(&image.pixels[i]);
    hsv.hue = static_cast<std::uint8_t>(hsv.hue + steps);  // modulo 256, as torchvision
    to_rgb(hsv, &image.pixels[i]);
  }
}

}  // namespace sgmae
