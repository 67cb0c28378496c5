// Plain loops that the compiler turns into vector code, as those of nn/kernels/cpu.cpp.
#include "sgmae/dense/kernels/maps.h"

#include <algorithm>
#include <cmath>

#include "sgmae/nn/kernels/values.h"

namespace sgmae::SGMAE_ISA {
namespace {

// Channels that are summed at a time, in registers and the nearest cache.
constexpr std::int64_t block = 64;

// body(first, count) for blocks of channels.
template <class Body>
void for_blocks(std::int64_t channels, Body body) {
  for (std::int64_t first = 0; first < channels; first += block)
    body(first, channels - first < block ? channels - first : block);
}

template <class T>
void moments(std::int64_t count, std::int64_t channels, const T* x, float* mean, float* m2) {
  for_blocks(channels, [&](std::int64_t first, std::int64_t n) {
    float sum[block] = {}, squares[block] = {};
    for (std::int64_t r = 0; r < count; ++r) {
      const T* cell = x + r * channels + first;
      for (std::int64_t c = 0; c < n; ++c) sum[c] += load(cell[c]);
    }
    for (std::int64_t c = 0; c < n; ++c) sum[c] /= static_cast<float>(count);
    for (std::int64_t r = 0; r < count; ++r) {
      const T* cell = x + r * channels + first;
      for (std::int64_t c = 0; c < n; ++c) {
        const float apart = load(cell[c]) - sum[c];
        squares[c] += apart * apart;
      }
    }
    for (std::int64_t c = 0; c < n; ++c) mean[first + c] = sum[c], m2[first + c] = squares[c];
  });
}

template <class T>
void normalise(std::int64_t count, std::int64_t channels, const T* x, const ChannelAffine& by,
               T* __restrict y) {
  const float lowest = by.relu ? 0.0f : -INFINITY;
  for (std::int64_t r = 0; r < count; ++r)
    for (std::int64_t c = 0; c < channels; ++c) {
      const float value = (load(x[r * channels + c]) - by.mean[c]) * by.scale[c] + by.shift[c];
      store(y[r * channels + c], value < lowest ? lowest : value);
    }
}

// dy where the result was let through.
inline float through(float dy, float apart, float scale, float shift, float lowest) {
  return apart * scale + shift > lowest ? dy : 0.0f;
}

template <class T>
void gradient_sums(std::int64_t count, std::int64_t channels, const T* dy, const T* x,
                   const ChannelAffine& by, float* sum, float* product) {
  const float lowest = by.relu ? 0.0f : -INFINITY;
  for_blocks(channels, [&](std::int64_t first, std::int64_t n) {
    float sums[block] = {}, products[block] = {};
    const float *mean = by.mean + first, *scale = by.scale + first, *shift = by.shift + first;
    for (std::int64_t r = 0; r < count; ++r) {
      const T *g = dy + r * channels + first, *cell = x + r * channels + first;
      for (std::int64_t c = 0; c < n; ++c) {
        const float apart = load(cell[c]) - mean[c];
        const float d = through(load(g[c]), apart, scale[c], shift[c], lowest);
        sums[c] += d;
        products[c] += d * apart;
      }
    }
    for (std::int64_t c = 0; c < n; ++c) sum[first + c] = sums[c], product[first + c] = products[c];
  });
}

template <class T>
void gradient(std::int64_t count, std::int64_t channels, const T* dy, const T* x,
              const ChannelAffine& by, const float* a, const float* b, T* __restrict dx) {
  const float lowest = by.relu ? 0.0f : -INFINITY;
  for (std::int64_t r = 0; r < count; ++r)
    for (std::int64_t c = 0; c < channels; ++c) {
      const std::int64_t i = r * channels + c;
      const float apart = load(x[i]) - by.mean[c];
      const float d = through(load(dy[i]), apart, by.scale[c], by.shift[c], lowest);
      store(dx[i], by.scale[c] * (d - a[c] - b[c] * apart));
    }
}

// to = (1 - weight) * a + weight * b
inline void blend(std::int64_t n, const float* a, const float* b, float weight,
                  float* __restrict to) {
  for (std::int64_t i = 0; i < n; ++i) to[i] = (1.0f - weight) * a[i] + weight * b[i];
}

inline void add(std::int64_t n, float factor, const float* from, float* __restrict to) {
  for (std::int64_t i = 0; i < n; ++i) to[i] += factor * from[i];
}

inline float largest_of(std::int64_t n, const float* x) {
  float lanes[16];
  for (std::int64_t c = 0; c < 16; ++c) lanes[c] = x[c];
  for (std::int64_t i = 16; i < n; i += 16)
    for (std::int64_t c = 0; c < 16; ++c) lanes[c] = x[i + c] > lanes[c] ? x[i + c] : lanes[c];
  float largest = lanes[0];
  for (std::int64_t c = 1; c < 16; ++c) largest = lanes[c] > largest ? lanes[c] : largest;
  return largest;
}

inline float exponentials(std::int64_t n, float largest, float* x) {
  float total = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    x[i] = exponential(x[i] - largest);
    total += x[i];
  }
  return total;
}

void cross_entropy_row(std::int64_t width, std::int64_t columns, std::int64_t classes,
                       const float* above, const float* below, float down, const AxisPlaces& across,
                       const std::uint8_t* labels, std::uint8_t ignored, float* memory,
                       float* dabove, float* dbelow, CrossEntropySums& sums) {
  float *const line = memory, *const dline = line + columns * classes,
               *const values = dline + columns * classes;
  bool begun = false;
  for (std::int64_t x = 0; x < width; ++x) {
    if (labels[x] == ignored) continue;
    if (!begun) {
      blend(columns * classes, above, below, down, line);
      std::memset(dline, 0, static_cast<std::size_t>(columns * classes) * sizeof(float));
      begun = true;
    }
    const std::int64_t low = across.low[x] * classes, high = across.high[x] * classes;
    const float weight = across.weight[x];
    blend(classes, line + low, line + high, weight, values);
    const float largest = largest_of(classes, values), own = values[labels[x]];
    const float total = exponentials(classes, largest, values);
    sums.loss += static_cast<double>(std::log(total) + largest - own);
    sums.right += own == largest;
    const float to_low = (1.0f - weight) / total, to_high = weight / total;
    add(classes, to_low, values, dline + low);
    add(classes, to_high, values, dline + high);
    dline[low + labels[x]] -= 1.0f - weight;
    dline[high + labels[x]] -= weight;
  }
  if (!begun) return;
  add(columns * classes, 1.0f - down, dline, dabove);
  add(columns * classes, down, dline, dbelow);
}

std::int64_t first_largest(std::int64_t count, const float* x) {
  const std::int64_t whole = count / 16 * 16;
  float largest = whole > 0 ? largest_of(whole, x) : x[0];
  for (std::int64_t i = whole; i < count; ++i) largest = x[i] > largest ? x[i] : largest;
  // Of equal ones the first, a block at a time.
  for (std::int64_t begin = 0; begin < whole; begin += 16) {
    std::uint32_t equal = 0;
    for (std::int64_t c = 0; c < 16; ++c)
      equal |= static_cast<std::uint32_t>(x[begin + c] == largest) << c;
    if (equal) return begin + __builtin_ctz(equal);
  }
  std::int64_t i = whole;
  while (i + 1 < count && x[i] != largest) ++i;
  return std::min(i, count - 1);
}

template <class T>
constexpr CellKernels<T> cells{moments<T>, normalise<T>, gradient_sums<T>, gradient<T>};

}  // namespace

extern const MapKernels map_kernels;
const MapKernels map_kernels{cells<float>, cells<Bf16>, cross_entropy_row, first_largest};

}  // namespace sgmae::SGMAE_ISA
