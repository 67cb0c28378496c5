#include "sgmae/image/bands.h"

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "sgmae/base/error.h"
#include "sgmae/image/codecs.h"

namespace sgmae {
namespace {

constexpr std::size_t lanes = 8;

std::size_t count_of(ImageSize size, int channels) {
  return static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height) *
         static_cast<std::size_t>(channels);
}

// out[i] = sum over k of weight[k] * in[k * step + i], i = 0 … count-1.
void weigh(const float* in, std::size_t step, const float* weight, int taps, std::size_t count,
           float* out) {
  for (std::size_t i = 0; i < count; ++i) {
    float sum = 0;
    for (int k = 0; k < taps; ++k) sum += weight[k] * in[static_cast<std::size_t>(k) * step + i];
    out[i] = sum;
  }
}

// The same bits, eight values at a time; `count` is a multiple of that.
__attribute__((target("avx2"))) void weigh_avx2(const float* in, std::size_t step,
                                                const float* weight, int taps, std::size_t count,
                                                float* out) {
  for (std::size_t i = 0; i < count; i += lanes) {
    __m256 sum = _mm256_setzero_ps();
    for (int k = 0; k < taps; ++k)
      sum = _mm256_add_ps(
          sum, _mm256_mul_ps(_mm256_set1_ps(weight[k]),
                             _mm256_loadu_ps(in + static_cast<std::size_t>(k) * step + i)));
    _mm256_storeu_ps(out + i, sum);
  }
}

}  // namespace

float half_to_float(std::uint16_t half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  const float size = exponent == 31 ? (fraction == 0 ? HUGE_VALF : std::nanf(""))
                     : exponent == 0
                         ? std::ldexp(static_cast<float>(fraction), -24)
                         : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  return half >> 15 ? -size : size;
}

void reshape(Bands& bands, ImageSize size, int channels) {
  bands.width = size.width;
  bands.height = size.height;
  bands.channels = channels;
  bands.values.resize(count_of(size, channels));
}

void fill_nodata(Bands& bands, const Normalisation& normalisation) {
  const auto channels = static_cast<std::size_t>(bands.channels);
  SGMAE_ASSERT(normalisation.stored && normalisation.mean.size() == channels);
  const auto& given = normalisation.stored->nodata;
  const float nodata = given ? static_cast<float>(*given) : std::nanf("");
  float* value = bands.values.data();
  for (std::size_t i = 0; i < bands.values.size(); i += channels)
    for (std::size_t c = 0; c < channels; ++c, ++value)
      if (!std::isfinite(*value) || *value == nodata) *value = normalisation.mean[c];
}

const BandResizer::Weights& BandResizer::weights(int in, int out, int begin, int length) {
  const std::array<int, 4> key{in, out, begin, length};
  if (const auto found = cache_.find(key); found != cache_.end()) return found->second;
  const std::vector<ExactSpan> spans = exact_weights(ResizeFilter::bicubic, in, out, begin, length);
  Weights weights;
  for (const ExactSpan& span : spans)
    weights.taps = std::max(weights.taps, static_cast<int>(span.weight.size()));
  const auto taps = static_cast<std::size_t>(weights.taps);
  weights.weight.assign(spans.size() * taps, 0);
  for (std::size_t i = 0; i < spans.size(); ++i) {
    // All taps inside the input, the surplus with weight 0.
    weights.first.push_back(std::min(spans[i].first, in - weights.taps));
    const auto skipped = static_cast<std::size_t>(spans[i].first - weights.first.back());
    for (std::size_t k = 0; k < spans[i].weight.size(); ++k)
      weights.weight[i * taps + skipped + k] = static_cast<float>(spans[i].weight[k]);
  }
  return cache_.emplace(key, std::move(weights)).first->second;
}

void BandResizer::resize(const Bands& source, ImageSize target, const CropBox& window, bool flip,
                         Bands& result) {
  SGMAE_ASSERT(source.width > 0 && source.height > 0 && window.width > 0 && window.height > 0);
  constexpr std::size_t cached_axes = 64;
  if (cache_.size() + 2 > cached_axes) cache_.clear();
  const Weights& down = weights(source.height, target.height, window.y, window.height);
  const Weights& across = weights(source.width, target.width, window.x, window.width);
  const auto channels = static_cast<std::size_t>(source.channels);
  const auto width = static_cast<std::size_t>(window.width);
  const auto height = static_cast<std::size_t>(window.height);

  // Down first, whole rows at a time.
  const std::size_t row = static_cast<std::size_t>(source.width) * channels;
  const std::size_t together = simd_ ? row / lanes * lanes : 0;
  between_.resize(height * row + lanes);
  for (std::size_t y = 0; y < height; ++y) {
    const float* in = &source.values[static_cast<std::size_t>(down.first[y]) * row];
    const float* weight = &down.weight[y * static_cast<std::size_t>(down.taps)];
    float* out = &between_[y * row];
    if (simd_) weigh_avx2(in, row, weight, down.taps, together, out);
    weigh(in + together, row, weight, down.taps, row - together, out + together);
  }

  // Then across, the channels of a pixel at a time. What a group of eight is too many is written
  // over by the next pixel.
  reshape(result, {window.width, window.height}, source.channels);
  result.values.resize(height * width * channels + lanes);
  const std::size_t groups = (channels + lanes - 1) / lanes * lanes;
  float* out = result.values.data();
  for (std::size_t y = 0; y < height; ++y)
    for (std::size_t x = 0; x < width; ++x, out += channels) {
      const std::size_t i = flip ? width - 1 - x : x;
      const float* in = &between_[y * row + static_cast<std::size_t>(across.first[i]) * channels];
      const float* weight = &across.weight[i * static_cast<std::size_t>(across.taps)];
      if (simd_)
        weigh_avx2(in, channels, weight, across.taps, groups, out);
      else
        weigh(in, channels, weight, across.taps, channels, out);
    }
  result.values.resize(height * width * channels);
}

void normalise(const Bands& bands, const Normalisation& normalisation, float* out) {
  const auto channels = static_cast<std::size_t>(bands.channels);
  SGMAE_ASSERT(normalisation.mean.size() == channels && normalisation.std.size() == channels);
  constexpr std::size_t block = 64;  // pixels that stay in the cache for all their channels
  const std::size_t plane = count_of(bands.size(), 1);
  for (std::size_t begin = 0; begin < plane; begin += block) {
    const std::size_t end = std::min(begin + block, plane);
    for (std::size_t c = 0; c < channels; ++c) {
      const float mean = normalisation.mean[c], scale = 1 / normalisation.std[c];
      const float* in = &bands.values[begin * channels + c];
      for (std::size_t i = begin; i < end; ++i, in += channels)
        out[c * plane + i] = (*in - mean) * scale;
    }
  }
}

Image picture_of(const float* values, const float* like, int channels, ImageSize size,
                 const StoredValues& stored) {
  constexpr double low_share = 0.02, high_share = 0.98;
  std::vector<int> shown;  // from 0
  for (const int channel : stored.picture)
    if (channel >= 1 && channel <= channels) shown.push_back(channel - 1);
  if (shown.size() != 1 && shown.size() != 3)
    shown = channels >= 3 ? std::vector<int>{0, 1, 2} : std::vector<int>{0};
  Image picture;
  reshape(picture, size, static_cast<int>(shown.size()));
  const std::size_t plane = count_of(size, 1);
  for (std::size_t c = 0; c < shown.size(); ++c) {
    const std::size_t begin = static_cast<std::size_t>(shown[c]) * plane;
    std::vector<float> sorted(like + begin, like + begin + plane);
    const auto percentile = [&](double share) {
      const auto at = sorted.begin() + std::lround(share * static_cast<double>(plane - 1));
      std::nth_element(sorted.begin(), at, sorted.end());
      return *at;
    };
    const float low = percentile(low_share), high = percentile(high_share);
    const float scale = high > low ? 255 / (high - low) : 0;
    for (std::size_t i = 0; i < plane; ++i)
      picture.pixels[i * shown.size() + c] = static_cast<std::uint8_t>(
          std::lround(std::clamp((values[begin + i] - low) * scale, 0.f, 255.f)));
  }
  return picture;
}

}  // namespace sgmae
