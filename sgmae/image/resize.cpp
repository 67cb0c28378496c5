#include "sgmae/image/resize.h"

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/image/codecs.h"

namespace sgmae {
namespace {

constexpr int precision = 22;  // fractional bits of a weight
constexpr int low_bits = 11;   // of them in the low half
constexpr std::int32_t half = 1 << (precision - 1);
// Bytes an AVX2 loop may touch past a row's end.
constexpr std::size_t overrun = 32;

double keys(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

double triangle(double x) {
  return std::max(0.0, 1 - std::abs(x));
}

std::uint8_t rounded(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> precision, 0, 255));
}

// Of outputs begin … begin + length - 1 when `in` values become `out`.
Resizer::Weights make_weights(ResizeFilter filter, int in, int out, int begin, int length) {
  // Of each output: its weights and the input the first belongs to.
  struct Span {
    int first = 0;
    std::vector<std::int32_t> weight;
  };
  std::vector<Span> spans;
  Resizer::Weights weights;  // taps: of the longest span
  for (const ExactSpan& exact : exact_weights(filter, in, out, begin, length)) {
    Span& span = spans.emplace_back();
    span.first = exact.first;
    for (const double weight : exact.weight)
      span.weight.push_back(static_cast<std::int32_t>(std::round(weight * (1 << precision))));
    // Zeros at the ends are common, and each would cost as much as a weight.
    while (span.weight.size() > 1 && span.weight.back() == 0) span.weight.pop_back();
    const auto zero = [](std::int32_t weight) { return weight == 0; };
    const auto kept = std::find_if_not(span.weight.begin(), span.weight.end() - 1, zero);
    span.first += static_cast<int>(kept - span.weight.begin());
    span.weight.erase(span.weight.begin(), kept);
    weights.taps = std::max(weights.taps, static_cast<int>(span.weight.size() + 3) / 4 * 4);
  }

  const auto taps = static_cast<std::size_t>(weights.taps);
  weights.weight.assign(spans.size() * taps, 0);
  weights.halves.assign(spans.size() * taps * 2, 0);
  for (std::size_t i = 0; i < spans.size(); ++i) {
    // All taps inside the input where it is long enough, so that reading them is allowed.
    const int first = std::max(std::min(spans[i].first, in - weights.taps), 0);
    weights.first.push_back(first);
    std::int32_t* weight = &weights.weight[i * taps];
    std::copy(spans[i].weight.begin(), spans[i].weight.end(), weight + spans[i].first - first);
    std::int16_t* halves = &weights.halves[i * taps * 2];
    for (std::size_t k = 0; k < taps; ++k) {
      const std::int32_t high = weight[k] >> low_bits;
      std::int16_t* group = halves + k / 4 * 8 + k % 4;
      group[0] = static_cast<std::int16_t>(high);
      group[4] = static_cast<std::int16_t>(weight[k] - (high << low_bits));
    }
  }
  const auto [lowest, highest] = std::minmax_element(weights.first.begin(), weights.first.end());
  weights.begin = *lowest;
  weights.end = std::min(*highest + weights.taps, in);
  return weights;
}

// One row of `count` outputs; `in` begins at column `first` of what `weights` count.
template <int channels>
void horizontal(const std::uint8_t* in, int first, const Resizer::Weights& weights, int count,
                bool flip, std::uint8_t* out) {
  for (int x = 0; x < count; ++x, out += channels) {
    const auto i = static_cast<std::size_t>(flip ? count - 1 - x : x);
    const std::int32_t* weight = &weights.weight[i * static_cast<std::size_t>(weights.taps)];
    const std::uint8_t* pixel = in + (weights.first[i] - first) * channels;
    std::int32_t sum[channels];
    std::fill_n(sum, channels, half);
    for (int k = 0; k < weights.taps; ++k)
      for (int c = 0; c < channels; ++c) sum[c] += weight[k] * *pixel++;
    for (int c = 0; c < channels; ++c) out[c] = rounded(sum[c]);
  }
}

// One output row: `rows` are the input rows of its taps, `bytes` long.
void vertical(const std::uint8_t* const* rows, int taps, const std::int32_t* weight, int begin,
              int bytes, std::uint8_t* out) {
  for (int x = begin; x < bytes; ++x) {
    std::int32_t sum = half;
    for (int k = 0; k < taps; ++k) sum += weight[k] * rows[k][x];
    out[x] = rounded(sum);
  }
}

// A pair of neighbouring taps' 16-bit weights, repeated.
__attribute__((target("avx2"))) inline __m256i pair_of(const std::int16_t* weights) {
  std::int32_t pair;
  std::memcpy(&pair, weights, sizeof pair);
  return _mm256_set1_epi32(pair);
}

__attribute__((target("avx2"))) inline __m256i four_of(const std::int16_t* weights) {
  std::int64_t four;
  std::memcpy(&four, weights, sizeof four);
  return _mm256_set1_epi64x(four);
}

// (high * 2^11 + low), not yet rounded. Wraps as the plain sum of products would.
__attribute__((target("avx2"))) inline __m256i joined(__m256i high, __m256i low) {
  return _mm256_add_epi32(_mm256_slli_epi32(high, low_bits), low);
}

// Two rows of three channels, one in each half of a register. Reads 4 bytes past the last tap.
__attribute__((target("avx2"))) void horizontal_rgb_avx2(const std::uint8_t* in0,
                                                         const std::uint8_t* in1, int first,
                                                         const Resizer::Weights& weights, int count,
                                                         bool flip, std::uint8_t* out0,
                                                         std::uint8_t* out1) {
  // Of four pixels r g b r g b …: two neighbours' reds, greens, blues, as 16-bit pairs.
  const __m256i first_two = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
  const __m256i last_two = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
  const auto taps = static_cast<std::size_t>(weights.taps);
  for (int x = 0; x < count; ++x, out0 += 3, out1 += 3) {
    const auto i = static_cast<std::size_t>(flip ? count - 1 - x : x);
    const std::int16_t* w = &weights.halves[i * taps * 2];
    const std::ptrdiff_t at = (weights.first[i] - first) * 3;
    __m256i high = _mm256_setzero_si256(), low = _mm256_set1_epi32(half);
    for (std::size_t k = 0; k < taps; k += 4, w += 8) {
      const auto offset = at + static_cast<std::ptrdiff_t>(k) * 3;
      const __m256i pixels = _mm256_inserti128_si256(
          _mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in0 + offset))),
          _mm_loadu_si128(reinterpret_cast<const __m128i*>(in1 + offset)), 1);
      const __m256i a = _mm256_shuffle_epi8(pixels, first_two);
      const __m256i b = _mm256_shuffle_epi8(pixels, last_two);
      high = _mm256_add_epi32(high, _mm256_madd_epi16(a, pair_of(w)));
      high = _mm256_add_epi32(high, _mm256_madd_epi16(b, pair_of(w + 2)));
      low = _mm256_add_epi32(low, _mm256_madd_epi16(a, pair_of(w + 4)));
      low = _mm256_add_epi32(low, _mm256_madd_epi16(b, pair_of(w + 6)));
    }
    __m256i sum = _mm256_srai_epi32(joined(high, low), precision);
    sum = _mm256_packus_epi16(_mm256_packs_epi32(sum, sum), sum);
    const int left = _mm_cvtsi128_si32(_mm256_castsi256_si128(sum));
    const int right = _mm_cvtsi128_si32(_mm256_extracti128_si256(sum, 1));
    if (x + 1 < count) {  // the fourth byte is written over by the next pixel
      std::memcpy(out0, &left, 4);
      std::memcpy(out1, &right, 4);
    } else {
      std::memcpy(out0, &left, 3);
      std::memcpy(out1, &right, 3);
    }
  }
}

// Four rows of one channel.
__attribute__((target("avx2"))) void horizontal_grey_avx2(const std::uint8_t* const* in, int first,
                                                          const Resizer::Weights& weights,
                                                          int count, bool flip,
                                                          std::uint8_t* const* out) {
  const auto taps = static_cast<std::size_t>(weights.taps);
  for (int x = 0; x < count; ++x) {
    const auto i = static_cast<std::size_t>(flip ? count - 1 - x : x);
    const std::int16_t* w = &weights.halves[i * taps * 2];
    const std::ptrdiff_t at = weights.first[i] - first;
    __m256i high = _mm256_setzero_si256(), low = _mm256_setzero_si256();
    for (std::size_t k = 0; k < taps; k += 4, w += 8) {
      std::int32_t four[4];
      for (int r = 0; r < 4; ++r) std::memcpy(&four[r], in[r] + at + k, 4);
      const __m256i pixels =
          _mm256_cvtepu8_epi16(_mm_setr_epi32(four[0], four[1], four[2], four[3]));
      high = _mm256_add_epi32(high, _mm256_madd_epi16(pixels, four_of(w)));
      low = _mm256_add_epi32(low, _mm256_madd_epi16(pixels, four_of(w + 4)));
    }
    // Each row's sum lies in two neighbouring elements.
    __m256i sum = joined(high, low);
    sum = _mm256_add_epi32(sum, _mm256_shuffle_epi32(sum, 0xb1));
    sum = _mm256_srai_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(half)), precision);
    sum = _mm256_packus_epi16(_mm256_packs_epi32(sum, sum), sum);
    const int left = _mm_cvtsi128_si32(_mm256_castsi256_si128(sum));
    const int right = _mm_cvtsi128_si32(_mm256_extracti128_si256(sum, 1));
    out[0][x] = static_cast<std::uint8_t>(left);
    out[1][x] = static_cast<std::uint8_t>(left >> 16);
    out[2][x] = static_cast<std::uint8_t>(right);
    out[3][x] = static_cast<std::uint8_t>(right >> 16);
  }
}

// Columns 0 … of one output row, 16 at a time; returns how many were done. Taps begin … end-1, two
// at a time, from an even one.
__attribute__((target("avx2"))) int vertical_avx2(const std::uint8_t* const* rows, int begin,
                                                  int end, const std::int16_t* halves, int bytes,
                                                  std::uint8_t* out) {
  int x = 0;
  for (; x + 16 <= bytes; x += 16) {
    __m256i high0 = _mm256_setzero_si256(), high1 = high0;
    __m256i low0 = _mm256_set1_epi32(half), low1 = low0;
    for (int k = begin; k < end; k += 2) {
      const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[k] + x));
      const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[k + 1] + x));
      const __m256i left = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b));
      const __m256i right = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b));
      const std::int16_t* w = halves + k / 4 * 8 + k % 4;
      const __m256i w_high = pair_of(w), w_low = pair_of(w + 4);
      high0 = _mm256_add_epi32(high0, _mm256_madd_epi16(left, w_high));
      high1 = _mm256_add_epi32(high1, _mm256_madd_epi16(right, w_high));
      low0 = _mm256_add_epi32(low0, _mm256_madd_epi16(left, w_low));
      low1 = _mm256_add_epi32(low1, _mm256_madd_epi16(right, w_low));
    }
    const __m256i sum0 = _mm256_srai_epi32(joined(high0, low0), precision);
    const __m256i sum1 = _mm256_srai_epi32(joined(high1, low1), precision);
    // Packing works within halves of a register: put the quarters back in order.
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(sum0, sum1), 0xd8);
    const __m128i packed =
        _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + x), packed);
  }
  return x;
}

}  // namespace

std::vector<ExactSpan> exact_weights(ResizeFilter filter, int in, int out, int begin_out,
                                     int length) {
  const double scale = static_cast<double>(in) / out;
  const double stretch = std::max(scale, 1.0);  // shrinking widens the kernel
  const bool cubic = filter == ResizeFilter::bicubic;
  const double support = (cubic ? 2 : 1) * stretch, shrink = 1 / stretch;
  std::vector<ExactSpan> spans(static_cast<std::size_t>(length));
  for (int i = 0; i < length; ++i) {
    ExactSpan& span = spans[static_cast<std::size_t>(i)];
    const double centre = (begin_out + i + 0.5) * scale;
    span.first = std::max(static_cast<int>(centre - support + 0.5), 0);
    const int end = std::min(static_cast<int>(centre + support + 0.5), in);
    double sum = 0;
    for (int k = span.first; k < end; ++k) {
      const double x = (k - centre + 0.5) * shrink;
      span.weight.push_back(cubic ? keys(x) : triangle(x));
      sum += span.weight.back();
    }
    for (double& weight : span.weight) weight /= sum;
  }
  return spans;
}

const Resizer::Weights& Resizer::weights(int in, int out, int begin, int length) {
  const std::array<int, 4> key{in, out, begin, length};
  auto found = cache_.find(key);
  if (found == cache_.end())
    found = cache_.emplace(key, make_weights(filter_, in, out, begin, length)).first;
  return found->second;
}

void Resizer::resize(const ImageView& source, ImageSize target, bool flip, Image& result) {
  resize(source, target, whole(target), flip, result);
}

void Resizer::resize(const ImageView& source, ImageSize target, const CropBox& window, bool flip,
                     Image& result) {
  const ImageSize size{source.width, source.height};
  resize(source, whole(size), size, target, window, flip, result);
}

void Resizer::forget_some() {
  // Enough for every crop size of a data set of small images.
  constexpr std::size_t cached_axes = 64;
  if (cache_.size() + 2 > cached_axes) cache_.clear();
}

CropBox Resizer::part_read(ImageSize size, ImageSize target, const CropBox& window) {
  forget_some();
  const Weights& across = weights(size.width, target.width, window.x, window.width);
  const Weights& down = weights(size.height, target.height, window.y, window.height);
  return {across.begin, down.begin, across.end - across.begin, down.end - down.begin};
}

void Resizer::resize(const ImageView& pixels, const CropBox& part, ImageSize size, ImageSize target,
                     const CropBox& window, bool flip, Image& result) {
  SGMAE_ASSERT(pixels.width > 0 && pixels.height > 0 && target.width > 0 && target.height > 0);
  SGMAE_ASSERT(pixels.width == part.width && pixels.height == part.height);
  SGMAE_ASSERT(pixels.channels == 1 || pixels.channels == 3);
  SGMAE_ASSERT(window.x >= 0 && window.y >= 0 && window.width > 0 && window.height > 0 &&
               window.x + window.width <= target.width &&
               window.y + window.height <= target.height);
  forget_some();
  const Weights& across = weights(size.width, target.width, window.x, window.width);
  const Weights& down = weights(size.height, target.height, window.y, window.height);
  const int channels = pixels.channels;
  reshape(result, {window.width, window.height}, channels);
  const ImageView out = view(result);

  const auto row_bytes = [&](int width) {
    return static_cast<std::size_t>(width) * static_cast<std::size_t>(channels);
  };
  // The passes' order matters to the last bit, since each rounds. Which one Pillow 13 makes first
  // was found by trying sizes: the vertical one where the height shrinks by more than twice what
  // the width does.
  const bool vertical_first =
      target.height < size.height &&
      size.height - target.height > 2 * (static_cast<std::int64_t>(size.width) - target.width);
  if (vertical_first) {
    between_.resize(row_bytes(part.width) * static_cast<std::size_t>(window.height));
    const ImageView between{between_.data(), part.width, window.height, channels,
                            static_cast<std::ptrdiff_t>(row_bytes(part.width))};
    scale_down(pixels, part.y, down, between_.data(), window.height);
    scale_across(between, part.x, across, flip, result.pixels.data(), window.width);
  } else {
    // Only the rows that the second pass will read.
    const ImageView rows =
        crop(pixels, {0, down.begin - part.y, part.width, down.end - down.begin});
    between_.resize(row_bytes(window.width) * static_cast<std::size_t>(rows.height));
    const ImageView between{between_.data(), window.width, rows.height, channels, out.stride};
    scale_across(rows, part.x, across, flip, between_.data(), window.width);
    scale_down(between, down.begin, down, result.pixels.data(), window.height);
  }
}

void Resizer::scale_across(const ImageView& in, int first_column, const Weights& weights, bool flip,
                           std::uint8_t* out, int width) {
  const std::size_t in_bytes =
      static_cast<std::size_t>(in.width) * static_cast<std::size_t>(in.channels);
  const std::size_t out_bytes =
      static_cast<std::size_t>(width) * static_cast<std::size_t>(in.channels);
  // The last row, and rows shorter than the kernel, would be read past their end.
  const bool narrow = in.width < weights.taps;
  const std::size_t padded_bytes =
      static_cast<std::size_t>(std::max(in.width, weights.taps) * in.channels) + overrun;
  padded_.assign(padded_bytes * 4, 0);
  unused_.resize(out_bytes);
  const int together = simd_ ? (in.channels == 3 ? 2 : 4) : 1;
  for (int y = 0; y < in.height; y += together) {
    const std::uint8_t* from[4];
    std::uint8_t* to[4];
    for (int r = 0; r < together; ++r) {
      const int row = std::min(y + r, in.height - 1);  // surplus rows repeat the last, unused
      from[r] = in.row(row);
      if (narrow || row + 1 == in.height) {
        std::uint8_t* copy = &padded_[padded_bytes * static_cast<std::size_t>(r)];
        std::memcpy(copy, from[r], in_bytes);
        from[r] = copy;
      }
      to[r] = y + r < in.height ? out + out_bytes * static_cast<std::size_t>(row) : unused_.data();
    }
    if (simd_ && in.channels == 3)
      horizontal_rgb_avx2(from[0], from[1], first_column, weights, width, flip, to[0], to[1]);
    else if (simd_)
      horizontal_grey_avx2(from, first_column, weights, width, flip, to);
    else if (in.channels == 3)
      horizontal<3>(from[0], first_column, weights, width, flip, to[0]);
    else
      horizontal<1>(from[0], first_column, weights, width, flip, to[0]);
  }
}

void Resizer::scale_down(const ImageView& in, int first_row, const Weights& weights,
                         std::uint8_t* out, int height) {
  const int bytes = in.width * in.channels;
  rows_.resize(static_cast<std::size_t>(weights.taps));
  for (int y = 0; y < height; ++y, out += bytes) {
    const auto i = static_cast<std::size_t>(y);
    for (int k = 0; k < weights.taps; ++k)  // rows past the end have weight 0
      rows_[static_cast<std::size_t>(k)] =
          in.row(std::min(weights.first[i] - first_row + k, in.height - 1));
    const std::size_t at = i * static_cast<std::size_t>(weights.taps);
    const std::int32_t* weight = &weights.weight[at];
    int begin = 0, end = weights.taps;
    while (end > 2 && weight[end - 1] == 0 && weight[end - 2] == 0) end -= 2;
    while (begin + 2 < end && weight[begin] == 0 && weight[begin + 1] == 0) begin += 2;
    const int done =
        simd_ ? vertical_avx2(rows_.data(), begin, end, &weights.halves[at * 2], bytes, out) : 0;
    vertical(rows_.data(), weights.taps, weight, done, bytes, out);
  }
}

Image resize(const ImageView& source, ImageSize target, bool flip, ResizeFilter filter) {
  Image result;
  Resizer(Simd::automatic, filter).resize(source, target, flip, result);
  return result;
}

}  // namespace sgmae
