#include "sgmae/image/normalise.h"

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "sgmae/base/error.h"
#include "sgmae/image/codecs.h"

namespace sgmae {
namespace {

// value = pixel * scale + shift.
struct Line {
  float scale, shift;
};

Line line_of(const Normalisation& normalisation, std::size_t channel) {
  const double mean = normalisation.mean[channel], std = normalisation.std[channel];
  return {static_cast<float>(1 / (255 * std)), static_cast<float>(-mean / std)};
}

void normalise_plain(const std::uint8_t* pixel, std::size_t count, int channels, Line line,
                     float* out) {
  std::array<float, 256> table;
  if (count < table.size()) {
    for (std::size_t i = 0; i < count; ++i, pixel += channels)
      out[i] = std::fma(static_cast<float>(*pixel), line.scale, line.shift);
    return;
  }
  for (std::size_t v = 0; v < table.size(); ++v)
    table[v] = std::fma(static_cast<float>(v), line.scale, line.shift);
  for (std::size_t i = 0; i < count; ++i, pixel += channels) out[i] = table[*pixel];
}

// Eight pixels at a time; returns how many were done. Reads 4 bytes past the eighth. The channels
// lie `plane` values apart.
__attribute__((target("avx2,fma"))) std::size_t normalise_rgb_avx2(const std::uint8_t* pixels,
                                                                   std::size_t count,
                                                                   const Line* lines, float* out,
                                                                   std::size_t plane) {
  __m256i pick[3];
  __m256 scale[3], shift[3];
  for (int c = 0; c < 3; ++c) {
    const auto at = [c](int i) { return static_cast<char>(3 * i + c); };
    pick[c] = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(at(0), -1, -1, -1, at(1), -1, -1, -1, at(2), -1, -1, -1, at(3), -1, -1, -1));
    scale[c] = _mm256_set1_ps(lines[c].scale);
    shift[c] = _mm256_set1_ps(lines[c].shift);
  }
  std::size_t i = 0;
  for (; i + 10 <= count; i += 8) {
    const std::uint8_t* eight = pixels + 3 * i;
    const __m256i bytes = _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(eight))),
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(eight + 12)), 1);
    for (int c = 0; c < 3; ++c) {
      const __m256 value = _mm256_cvtepi32_ps(_mm256_shuffle_epi8(bytes, pick[c]));
      _mm256_storeu_ps(out + static_cast<std::size_t>(c) * plane + i,
                       _mm256_fmadd_ps(value, scale[c], shift[c]));
    }
  }
  return i;
}

__attribute__((target("avx2,fma"))) std::size_t normalise_grey_avx2(const std::uint8_t* pixels,
                                                                    std::size_t count, Line line,
                                                                    float* out) {
  const __m256 scale = _mm256_set1_ps(line.scale), shift = _mm256_set1_ps(line.shift);
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(pixels + i));
    const __m256 value = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
    _mm256_storeu_ps(out + i, _mm256_fmadd_ps(value, scale, shift));
  }
  return i;
}

// `count` pixels in a row, one line for each of their channels.
void normalise_run(const std::uint8_t* pixels, std::size_t count, const std::vector<Line>& lines,
                   float* out, std::size_t plane, bool simd) {
  const std::size_t channels = lines.size();
  std::size_t done = 0;
  if (simd && channels == 3)
    done = normalise_rgb_avx2(pixels, count, lines.data(), out, plane);
  else if (simd && channels == 1)
    done = normalise_grey_avx2(pixels, count, lines[0], out);
  if (done == count) return;
  for (std::size_t c = 0; c < channels; ++c)
    normalise_plain(pixels + done * channels + c, count - done, static_cast<int>(channels),
                    lines[c], out + c * plane + done);
}

std::vector<Line> lines_of(const Image& image, const Normalisation& normalisation) {
  const auto channels = static_cast<std::size_t>(image.channels);
  SGMAE_ASSERT(normalisation.mean.size() == channels && normalisation.std.size() == channels);
  std::vector<Line> lines;
  for (std::size_t c = 0; c < channels; ++c) lines.push_back(line_of(normalisation, c));
  return lines;
}

}  // namespace

Normalisation default_normalisation(int channels) {
  if (channels == 3) return {{0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};
  const auto count = static_cast<std::size_t>(channels);
  return {std::vector<float>(count, 0.5f), std::vector<float>(count, 0.25f)};
}

void normalise(const Image& image, const Normalisation& normalisation, float* out, Simd simd) {
  const std::size_t count = image.pixels.size() / static_cast<std::size_t>(image.channels);
  normalise_run(image.pixels.data(), count, lines_of(image, normalisation), out, count,
                use_simd(simd));
}

void normalise(const Image& image, const Normalisation& normalisation, ImageSize canvas, float* out,
               Simd simd) {
  SGMAE_ASSERT(image.width <= canvas.width && image.height <= canvas.height);
  const std::vector<Line> lines = lines_of(image, normalisation);
  const auto width = static_cast<std::size_t>(image.width);
  const auto row = static_cast<std::size_t>(canvas.width);
  const auto content = row * static_cast<std::size_t>(image.height);
  const auto plane = row * static_cast<std::size_t>(canvas.height);
  for (int y = 0; y < image.height; ++y)
    normalise_run(view(image).row(y), width, lines, out + static_cast<std::size_t>(y) * row, plane,
                  use_simd(simd));
  for (std::size_t c = 0; c < lines.size(); ++c, out += plane) {
    for (std::size_t begin = 0; begin < content; begin += row)
      std::fill(out + begin + width, out + begin + row, 0.f);
    std::fill(out + content, out + plane, 0.f);
  }
}

Image denormalise(const float* values, int channels, ImageSize size,
                  const Normalisation& normalisation) {
  Image image;
  reshape(image, size, channels);
  const auto step = static_cast<std::size_t>(channels);
  const std::size_t count = image.pixels.size() / step;
  for (std::size_t c = 0; c < step; ++c)
    for (std::size_t i = 0; i < count; ++i) {
      const float value = values[c * count + i] * normalisation.std[c] + normalisation.mean[c];
      // A NaN fails both comparisons of the clamp's kind below and becomes 0.
      const float scaled = value * 255 + 0.5f;
      image.pixels[i * step + c] = static_cast<std::uint8_t>(scaled >= 255 ? 255
                                                             : scaled > 0  ? scaled
                                                                           : 0);
    }
  return image;
}

}  // namespace sgmae
