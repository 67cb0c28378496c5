// Compiled once per instruction set, with SGMAE_ISA naming it. What the sets do not share stands
// under "What the processor multiplies"; all else is plain loops that become vector code.
#include "sgmae/nn/kernels/product.h"

#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace sgmae::SGMAE_ISA {
namespace {

constexpr std::int64_t kTile = 16;  // lines of a tile, and slots of each
constexpr std::int64_t kStrip = lines_of_strip;
static_assert(kStrip == 2 * kTile);
constexpr std::int64_t kTileBytes = kTile * kTile * 4;
constexpr std::int64_t kStepBytes = 2 * kTileBytes;

std::int64_t up(std::int64_t count, std::int64_t size) {
  return (count + size - 1) / size;
}

std::int64_t strips_of(std::int64_t lines) {
  return up(lines, kStrip);
}

struct Range {
  std::int64_t begin, end;

  std::int64_t size() const { return end - begin; }
  Range share(std::int64_t i, std::int64_t n) const {
    return {begin + size() * i / n, begin + size() * (i + 1) / n};
  }
};

enum class Side { left, right };  // A or B

// ---- Slots --------------------------------------------------------------------------------------

// A vector of the processor's own width.
#ifdef __AVX512F__
constexpr int kLanes = 16;
#else
constexpr int kLanes = 8;
#endif
using Floats = float __attribute__((vector_size(kLanes * 4)));
using Words = std::uint32_t __attribute__((vector_size(kLanes * 4)));

using Slots = std::uint32_t[kTile];

std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

// How a format fills slots: from values that follow each other along the depth, or across it from
// those of two depths, which lie side by side (with one value per slot there is no difference).

// One fp32.
template <bool round>
struct Single {
  static constexpr int values = 1, pieces = 1;
  static void along(const float* from, Slots* to) {
#pragma GCC unroll 1
    for (std::int64_t i = 0; i < kTile; ++i)
      to[0][i] = round ? rounded_bits(from[i]) & 0xffff0000u : bits_of(from[i]);
  }
  // As a loop the compiler makes three times as many instructions of it.
  static void along(const Bf16* from, Slots* to) {
    std::uint16_t __attribute__((vector_size(kTile * 2))) values;
    std::memcpy(&values, from, sizeof(values));
    using Row = std::uint32_t __attribute__((vector_size(sizeof(Slots))));
    const Row widened = __builtin_convertvector(values, Row) << 16;
    std::memcpy(to, &widened, sizeof(widened));
  }
};

#ifdef __AVX512F__

float float_of(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// Two bf16.
struct Pair {
  static constexpr int values = 2, pieces = 1;
  static void along(const Bf16* from, Slots* to) { std::memcpy(to, from, sizeof(Slots)); }
  static void along(const float* from, Slots* to) {
    Bf16 halves[2 * kTile];
#pragma GCC unroll 1
    for (std::int64_t i = 0; i < 2 * kTile; ++i)
      halves[i].bits = static_cast<std::uint16_t>(rounded_bits(from[i]) >> 16);
    along(halves, to);
  }
  static void across(const Bf16* first, const Bf16* second, Slots* to) {
    const auto halves = [](const Bf16* from) {
      return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    };
    _mm512_storeu_si512(to, _mm512_or_si512(halves(first), _mm512_slli_epi32(halves(second), 16)));
  }
  static void across(const float* first, const float* second, Slots* to) {
#pragma GCC unroll 1
    for (std::int64_t i = 0; i < kTile; ++i)
      to[0][i] = rounded_bits(first[i]) >> 16 | (rounded_bits(second[i]) & 0xffff0000u);
  }
};

// Two fp32, each in three pieces of bf16: one kind of slot for the largest, and so on.
struct Pieces {
  static constexpr int values = 2, pieces = 3;
  static void across(const float* first, const float* second, Slots* to) {
#pragma GCC unroll 1
    for (std::int64_t i = 0; i < kTile; ++i) {
      float a = first[i], b = second[i];
      for (int p = 0; p < pieces; ++p) {
        const std::uint32_t x = rounded_bits(a) & 0xffff0000u, y = rounded_bits(b) & 0xffff0000u;
        to[p][i] = x >> 16 | y;
        a -= float_of(x);
        b -= float_of(y);
      }
    }
  }
  static void along(const float* from, Slots* to) {
    float even[kTile], odd[kTile];
#pragma GCC unroll 1
    for (std::int64_t i = 0; i < kTile; ++i) {
      even[i] = from[2 * i];
      odd[i] = from[2 * i + 1];
    }
    across(even, odd, to);
  }
};

#endif

template <class Format>
constexpr std::int64_t depth_of_step = kTile* Format::values;

template <class Format>
constexpr std::int64_t step_bytes = kStepBytes* Format::pieces;

template <class Format>
std::int64_t steps_of(std::int64_t depth) {
  return up(depth, depth_of_step<Format>);
}

// ---- Packing ------------------------------------------------------------------------------------

// Of two rows of a matrix, seen as squares of `half` x `half`: swaps those off the diagonal.
template <int half, int... lane>
void swap_squares(Words& upper, Words& lower, std::integer_sequence<int, lane...>) {
  const Words swapped =
      __builtin_shufflevector(upper, lower, (lane & half ? kLanes + lane - half : lane)...);
  lower = __builtin_shufflevector(upper, lower, (lane & half ? kLanes + lane : lane + half)...);
  upper = swapped;
}

template <int half>
void swap_squares(Words (&rows)[kLanes]) {
  for (int k = 0; k < kLanes; ++k)
    if (!(k & half))
      swap_squares<half>(rows[k], rows[k + half], std::make_integer_sequence<int, kLanes>());
}

void transpose(Words (&rows)[kLanes]) {
  if constexpr (kLanes > 8) swap_squares<8>(rows);
  swap_squares<4>(rows);
  swap_squares<2>(rows);
  swap_squares<1>(rows);
}

// to = the tile, or its transpose.
void write_tile(const Slots (&tile)[kTile], bool transposed, char* to) {
  if (!transposed) {
#pragma GCC unroll 4
    for (std::int64_t i = 0; i < kTile; ++i) std::memcpy(to + i * 64, tile[i], sizeof(Slots));
    return;
  }
  for (int i = 0; i < kTile; i += kLanes)
    for (int j = 0; j < kTile; j += kLanes) {
      Words rows[kLanes];
      for (int k = 0; k < kLanes; ++k) std::memcpy(&rows[k], &tile[i + k][j], sizeof(Words));
      transpose(rows);
      for (int k = 0; k < kLanes; ++k)
        std::memcpy(to + ((j + k) * kTile + i) * 4, &rows[k], sizeof(Words));
    }
}

// Into the second cache.
void prefetch(const void* address) {
  __builtin_prefetch(address, /*write=*/0, /*locality=*/2);
}

// `count` <= size values of `from`, and zeros up to `size`; those of `from` itself if it has them.
template <std::int64_t size, class T>
const T* filled_up(const T* from, std::int64_t count, T (&copy)[size]) {
  if (count == size) return from;
  std::fill(copy, copy + size, T{});
  if (count > 0) std::memcpy(copy, from, static_cast<std::size_t>(count) * sizeof(T));
  return copy;
}

// The slots of 16 lines from data[0] on, of `lines` and `depth` that there are: a row per line if
// they lie in memory by lines, else a row per slot.
template <class Format, class T>
[[gnu::always_inline]] inline void load_tile(const ProductOperand<T>& from, const T* data,
                                             std::int64_t lines, std::int64_t depth,
                                             Slots (&rows)[Format::pieces][kTile]) {
  constexpr int values = Format::values;
  const auto store = [&](std::int64_t i, const Slots(&slots)[Format::pieces]) {
    for (int p = 0; p < Format::pieces; ++p) std::memcpy(rows[p][i], slots[p], sizeof(Slots));
  };
  Slots slots[Format::pieces];
  if (from.depth_stride == 1) {
    T copy[depth_of_step<Format>];
#pragma GCC unroll 1
    for (std::int64_t i = 0; i < kTile; ++i) {
      const T* line = data + i * from.line_stride;
      // The next strip's. Across the depth there is no gain in fetching ahead (measured).
      prefetch(line + kStrip * from.line_stride);
      Format::along(filled_up(line, i < lines ? depth : 0, copy), slots);
      store(i, slots);
    }
  } else {
    T copies[2][kTile];
#pragma GCC unroll 1
    for (std::int64_t i = 0; i < kTile; ++i) {
      const std::int64_t k = values * i;
      const T* first = data + k * from.depth_stride;
      const T* a = filled_up(first, k < depth ? lines : 0, copies[0]);
      if constexpr (values == 1)
        Format::along(a, slots);
      else
        Format::across(
            a, filled_up(first + from.depth_stride, k + 1 < depth ? lines : 0, copies[1]), slots);
      store(i, slots);
    }
  }
}

// Packs one step of one strip. A left tile is a row of slots per line, a right one a row of lines
// per slot.
template <class Format, class T>
void pack_step(Side side, const ProductOperand<T>& from, std::int64_t strip, std::int64_t step,
               char* to) {
  const std::int64_t begin = step * depth_of_step<Format>;
  const std::int64_t depth = std::min(depth_of_step<Format>, from.depth - begin);
  const bool by_line = from.depth_stride == 1;
  for (std::int64_t tile = 0; tile < 2; ++tile, to += kTileBytes) {
    const std::int64_t line = strip * kStrip + tile * kTile;
    const std::int64_t lines = std::clamp<std::int64_t>(from.lines - line, 0, kTile);
    const T* data = from.data + line * from.line_stride + begin * from.depth_stride;
    Slots rows[Format::pieces][kTile];
    if (lines == kTile && depth == depth_of_step<Format>)
      load_tile<Format>(from, data, kTile, depth_of_step<Format>, rows);
    else
      load_tile<Format>(from, data, lines, depth, rows);
    for (int p = 0; p < Format::pieces; ++p)
      write_tile(rows[p], by_line != (side == Side::left), to + p * kStepBytes);
  }
}

// Packs steps and strips to where `place` says, in the order in which they lie in memory: steps of
// a strip if that is the depth, else strips of a step.
template <class Format, class T, class Place>
void pack_block(Side side, const ProductOperand<T>& from, Range strips, Range steps, Place place) {
  if (from.depth_stride == 1) {
    for (std::int64_t s = strips.begin; s < strips.end; ++s)
      for (std::int64_t k = steps.begin; k < steps.end; ++k)
        pack_step<Format>(side, from, s, k, place(s, k));
  } else {
    for (std::int64_t k = steps.begin; k < steps.end; ++k)
      for (std::int64_t s = strips.begin; s < strips.end; ++s)
        pack_step<Format>(side, from, s, k, place(s, k));
  }
}

template <class Format, class T>
void pack(const ProductOperand<T>& from, const PackedOperand& to, std::int64_t share,
          std::int64_t shares) {
  const Range strips{0, strips_of(from.lines)}, steps{0, steps_of<Format>(from.depth)};
  const auto place = [&](std::int64_t strip, std::int64_t step) {
    return to.data + (strip * steps.end + step) * step_bytes<Format>;
  };
  if (from.depth_stride == 1)
    pack_block<Format>(Side::right, from, strips.share(share, shares), steps, place);
  else
    pack_block<Format>(Side::right, from, strips, steps.share(share, shares), place);
}

template <class Format>
std::int64_t packed_bytes(std::int64_t lines, std::int64_t depth) {
  return strips_of(lines) * steps_of<Format>(depth) * step_bytes<Format>;
}

// ---- What the processor multiplies --------------------------------------------------------------

// Each gives the formats for operands of float and of bf16, the unit that a thread holds while it
// multiplies, how much of one operand stays in the second cache while the other passes by, how many
// steps of the passing strip at a time stay in the first for all resident ones, whether the next
// ones are fetched meanwhile, and
//
//     multiply_strips<Format, left_resident>(left, right, steps, rows, columns, add, c)
//
// c [32, 32] = the product of two strips over `steps`, or for `add` that much more, of which only
// the first `rows` and `columns` are looked at.
#ifdef __AMX_BF16__

using FloatFormat = Pieces;
using Bf16Format = Pair;
constexpr std::int64_t kResidentBytes = 1 << 20;  // of 2 MiB
// Of bf16, they stay in the first cache (48 KiB); pieces are used more often per byte and can come
// from the second.
constexpr std::int64_t kMostPassingSteps = 16;
constexpr bool kFetchesAhead = false;  // tile loads need all the lines that a core can wait for

struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// The tile unit holds its tiles per thread, from construction to destruction.
class Unit {
 public:
  Unit() {
    const TileConfig config;
    asm volatile("" ::"r"(&config) : "memory");  // the intrinsic does not say that it reads all
    _tile_loadconfig(&config);
  }
  ~Unit() { _tile_release(); }
  Unit(const Unit&) = delete;
  Unit& operator=(const Unit&) = delete;
};

// Two tiles of an operand into the tiles `low` and `high`. The resident one is loaded with the hint
// that it is not wanted in the first cache, where the passing one is to stay.
#define SGMAE_LOAD(low, high, from, resident)          \
  if constexpr (resident) {                            \
    _tile_stream_loadd(low, from, 64);                 \
    _tile_stream_loadd(high, (from) + kTileBytes, 64); \
  } else {                                             \
    _tile_loadd(low, from, 64);                        \
    _tile_loadd(high, (from) + kTileBytes, 64);        \
  }

template <class Format, bool left_resident>
void multiply_strips(const char* left, const char* right, std::int64_t steps, std::int64_t,
                     std::int64_t, bool add, float* c) {
  constexpr int row = 32 * sizeof(float), pieces = Format::pieces;
  // Of fp32 the digits count: a sum of its own for these steps loses fewer.
  constexpr bool add_at_the_end = pieces > 1;
  if (add && !add_at_the_end) {
    _tile_loadd(0, c, row);
    _tile_loadd(1, c + 16, row);
    _tile_loadd(2, c + 16 * 32, row);
    _tile_loadd(3, c + 16 * 32 + 16, row);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (std::int64_t s = 0; s < steps; ++s) {
    for (int p = 0; p < pieces; ++p) {
      SGMAE_LOAD(4, 5, left + p * kStepBytes, left_resident)
      for (int q = 0; p + q < pieces; ++q) {  // of three: 00, 01, 02, 10, 11, 20
        SGMAE_LOAD(6, 7, right + q * kStepBytes, !left_resident)
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
    left += pieces * kStepBytes;
    right += pieces * kStepBytes;
  }
  alignas(64) float own[kStrip * kStrip];
  float* const to = add && add_at_the_end ? own : c;
  _tile_stored(0, to, row);
  _tile_stored(1, to + 16, row);
  _tile_stored(2, to + 16 * 32, row);
  _tile_stored(3, to + 16 * 32 + 16, row);
  if (to == own)
    for (std::int64_t i = 0; i < kStrip * kStrip; ++i) c[i] += own[i];
}
#undef SGMAE_LOAD

#else

using FloatFormat = Single<false>;
#ifdef __AVX512BF16__
using Bf16Format = Pair;
#else
using Bf16Format = Single<true>;
#endif
constexpr std::int64_t kResidentBytes = 640 << 10;
constexpr std::int64_t kMostPassingSteps = 8;
constexpr bool kFetchesAhead = true;

struct Unit {
  Unit() {}
};

Floats load(const void* from) {
  Floats value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

// sum += the product of one slot of a line with those of several.
template <class Format>
Floats add_product(Floats sum, const char* slot, Floats slots) {
  if constexpr (Format::values == 2) {
#ifdef __AVX512BF16__
    int pair;
    std::memcpy(&pair, slot, sizeof(pair));
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair)),
                            reinterpret_cast<__m512bh>(slots));
#endif
  } else {
    float value;
    std::memcpy(&value, slot, sizeof(value));
    return sum + value * slots;
  }
}

// `rows` lines of one left tile with `tiles` right ones. Loops are unrolled, so that the sums stay
// in registers. What is there is added at the end: short sums of their own lose fewer digits than
// one along the whole depth.
template <class Format, int rows, int tiles>
void multiply_rows(const char* left, const char* right, std::int64_t steps, bool add, float* c) {
  constexpr int tile_vectors = kTile / kLanes, vectors = tiles * tile_vectors;
  Floats sums[rows][vectors];
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) sums[r][v] = Floats{};
  for (std::int64_t s = 0; s < steps; ++s, left += kStepBytes, right += kStepBytes)
    for (int k = 0; k < kTile; ++k) {
      Floats slots[vectors];
#pragma GCC unroll 16
      for (int v = 0; v < vectors; ++v)
        slots[v] = load(right + v / tile_vectors * kTileBytes +
                        (k * kTile + v % tile_vectors * kLanes) * 4);
#pragma GCC unroll 16
      for (int r = 0; r < rows; ++r)
#pragma GCC unroll 16
        for (int v = 0; v < vectors; ++v)
          sums[r][v] = add_product<Format>(sums[r][v], left + (r * kTile + k) * 4, slots[v]);
    }
#pragma GCC unroll 16
  for (int r = 0; r < rows; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < vectors; ++v) {
      float* const to = c + r * kStrip + v * kLanes;
      if (add) sums[r][v] += load(to);
      std::memcpy(to, &sums[r][v], sizeof(Floats));
    }
}

template <class Format, bool>
void multiply_strips(const char* left, const char* right, std::int64_t steps, std::int64_t rows,
                     std::int64_t columns, bool add, float* c) {
  for (std::int64_t tile = 0; tile * kTile < rows; ++tile, left += kTileBytes) {
    float* out = c + tile * kTile * kStrip;
    const std::int64_t left_rows = rows - tile * kTile;
#ifdef __AVX512F__  // 32 registers: 16 sums
    for (int r = 0; r < kTile && r < left_rows; r += 8) {
      if (columns > kTile)
        multiply_rows<Format, 8, 2>(left + r * kTile * 4, right, steps, add, out + r * kStrip);
      else
        multiply_rows<Format, 8, 1>(left + r * kTile * 4, right, steps, add, out + r * kStrip);
    }
#else
    for (std::int64_t t = 0; t * kTile < columns; ++t) {
      const char* from = right + t * kTileBytes;
      float* to = out + t * kTile;
      multiply_rows<Format, 6, 1>(left, from, steps, add, to);
      if (left_rows > 6)
        multiply_rows<Format, 5, 1>(left + 6 * kTile * 4, from, steps, add, to + 6 * kStrip);
      if (left_rows > 11)
        multiply_rows<Format, 5, 1>(left + 11 * kTile * 4, from, steps, add, to + 11 * kStrip);
    }
#endif
  }
}
#endif

// ---- Multiplying --------------------------------------------------------------------------------

// Fewer resident strips than this, and a passing one is used too seldom for what it costs to read.
constexpr std::int64_t kFewestResident = 6;
// Strips that pass in turn for each part of the depth, while the sums of their blocks are kept.
constexpr std::int64_t kMostPassing = 96;

// 64 bytes past the caches.
void stream(const char* from, char* to) {
#ifdef __AVX512F__
  _mm512_stream_si512(reinterpret_cast<__m512i*>(to), _mm512_loadu_si512(from));
#else
  for (int i = 0; i < 64; i += 32)
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to + i),
                        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i)));
#endif
}

void round_row(const float* from, float* to) {
  std::memcpy(to, from, kStrip * sizeof(float));
}

void round_row(const float* from, Bf16* to) {
  for (std::int64_t i = 0; i < kStrip; ++i)
    to[i].bits = static_cast<std::uint16_t>(rounded_bits(from[i]) >> 16);
}

// That share of so many bytes.
[[maybe_unused]] void prefetch_share(const char* from, std::int64_t bytes, std::int64_t share,
                                     std::int64_t shares) {
  const Range lines = Range{0, bytes / 64}.share(share, shares);
  for (std::int64_t i = lines.begin; i < lines.end; ++i) prefetch(from + i * 64);
}

// What is already in the place of block (i, j), which write_block() will add to.
void prefetch_block(const ProductResult<float>& result, std::int64_t m, std::int64_t i,
                    std::int64_t j) {
  const float* to = result.data + i * kStrip * result.stride + j * kStrip;
  for (std::int64_t r = std::min(kStrip, m - i * kStrip); r > 0; --r, to += result.stride) {
    prefetch(to);
    prefetch(to + kTile);
  }
}

// Brings block (i, j) of the product to its place.
template <class T>
void write_block(const ProductResult<T>& result, std::int64_t m, std::int64_t n, std::int64_t i,
                 std::int64_t j, bool streamed, const float* c) {
  const std::int64_t row = i * kStrip, column = j * kStrip;
  const std::int64_t rows = std::min(kStrip, m - row), count = std::min(kStrip, n - column);
  const auto bytes = static_cast<std::size_t>(count) * sizeof(T);
  float more[kStrip] = {};  // to be added: the bias, or what is there
  if (result.bias && !result.add)
    std::memcpy(more, result.bias + column, static_cast<std::size_t>(count) * sizeof(float));
  for (std::int64_t r = 0; r < rows; ++r, c += kStrip) {
    T* to = result.data + (row + r) * result.stride + column;
    if constexpr (std::is_same_v<T, float>)
      if (result.add) std::memcpy(more, to, bytes);
    float sums[kStrip];
    for (std::int64_t k = 0; k < kStrip; ++k) sums[k] = c[k] + more[k];
    T values[kStrip];
    round_row(sums, values);
    if (count < kStrip)
      std::memcpy(to, values, bytes);
    else if (!streamed || result.add)
      std::memcpy(to, values, sizeof(values));
    else
      for (std::size_t k = 0; k < sizeof(values); k += 64)
        stream(reinterpret_cast<const char*>(values) + k, reinterpret_cast<char*>(to) + k);
  }
}

// Memory of a thread that begins with a cache line, kept for the next product.
template <class T>
class Scratch {
 public:
  T* of(std::int64_t count) {
    if (count > count_) {
      memory_.reset(static_cast<T*>(::operator new(count * sizeof(T), cache_line)));
      count_ = count;
    }
    return memory_.get();
  }

 private:
  static constexpr std::align_val_t cache_line{64};
  struct Free {
    void operator()(T* memory) const { ::operator delete(memory, cache_line); }
  };
  std::unique_ptr<T, Free> memory_;
  std::int64_t count_ = 0;
};

// How a thread goes through its strips: one operand's stay in the second cache, a group at a time,
// while the other's pass by.
struct Order {
  std::int64_t part_steps;     // of the depth; sums of blocks are kept until all parts are through
  std::int64_t passing_steps;  // of a passing strip for all resident ones
  std::int64_t fit;            // resident strips
};

template <class Format>
Order order_of(std::int64_t steps) {
  const std::int64_t parts = up(steps, kResidentBytes / kFewestResident / step_bytes<Format>);
  const std::int64_t part_steps = up(steps, parts);
  return {part_steps, up(part_steps, up(part_steps, kMostPassingSteps)),
          std::max<std::int64_t>(1, kResidentBytes / (part_steps * step_bytes<Format>))};
}

template <class Format, bool left_resident, class T, class Result>
void multiply_range(const ProductOperand<T>& a, const PackedOperand& b,
                    const ProductResult<Result>& result, Range left, Range right) {
  constexpr std::int64_t bytes = step_bytes<Format>, block = kStrip * kStrip;
  const std::int64_t steps = steps_of<Format>(a.depth);
  const auto [part_steps, passing_steps, fit] = order_of<Format>(steps);
  const Range resident = left_resident ? left : right, passing = left_resident ? right : left;
  const std::int64_t groups = up(resident.size(), fit);
  const std::int64_t runs = part_steps < steps ? up(passing.size(), kMostPassing) : 1;
  // Large results are written past the caches: reading lines in first, only to overwrite them,
  // costs more than that the next reader finds them in memory (measured).
  constexpr std::int64_t large = 1 << 20;
  const bool streamed = a.lines * b.lines * static_cast<std::int64_t>(sizeof(Result)) >= large &&
                        reinterpret_cast<std::uintptr_t>(result.data) % 64 == 0 &&
                        result.stride * sizeof(Result) % 64 == 0;
  thread_local Scratch<char> packed;
  thread_local Scratch<float> sums;
  const std::int64_t group_strips = up(resident.size(), groups);
  const std::int64_t kept_strips = part_steps < steps ? up(passing.size(), runs) : 1;
  char* const a_packed = packed.of((left_resident ? group_strips : 1) * part_steps * bytes);
  float* const c = sums.of(group_strips * kept_strips * block);

  // One part of the depth for a group and strips that pass it.
  const auto multiply_part = [&](Range group, Range run, Range depth) {
    const auto pack_left = [&](Range strips) {
      pack_block<Format>(Side::left, a, strips, depth, [&](std::int64_t s, std::int64_t k) {
        return a_packed + ((s - strips.begin) * part_steps + k - depth.begin) * bytes;
      });
    };
    if (left_resident) pack_left(group);
    for (std::int64_t p = run.begin; p < run.end; ++p) {
      if (!left_resident) pack_left({p, p + 1});
      float* const kept = c + (p - run.begin) % kept_strips * group_strips * block;
      for (std::int64_t k = depth.begin; k < depth.end; k += passing_steps)
        for (std::int64_t r = group.begin; r < group.end; ++r) {
          const std::int64_t place = left_resident ? r - group.begin : 0;
          const std::int64_t i = left_resident ? r : p, j = left_resident ? p : r;
          float* const block_sums = kept + (r - group.begin) * block;
          if constexpr (left_resident && kFetchesAhead)
            prefetch_share(b.data + (j * steps + k + passing_steps) * bytes, passing_steps * bytes,
                           r - group.begin, group.size());
          const bool last = std::min(k + passing_steps, depth.end) == steps;
          if constexpr (std::is_same_v<Result, float>)
            if (last && result.add) prefetch_block(result, a.lines, i, j);
          multiply_strips<Format, left_resident>(
              a_packed + (place * part_steps + k - depth.begin) * bytes,
              b.data + (j * steps + k) * bytes, std::min(passing_steps, depth.end - k),
              std::min(kStrip, a.lines - i * kStrip), std::min(kStrip, b.lines - j * kStrip), k > 0,
              block_sums);
          if (last) write_block(result, a.lines, b.lines, i, j, streamed, block_sums);
        }
    }
  };
  for (std::int64_t g = 0; g < groups; ++g)
    for (std::int64_t run = 0; run < runs; ++run)
      for (std::int64_t part = 0; part < steps; part += part_steps)
        multiply_part(resident.share(g, groups), passing.share(run, runs),
                      {part, std::min(steps, part + part_steps)});
}

// How the strips of A and B are cut for threads: a grid of `rows` x `columns` cells, one for each
// thread, and each cell's strips of A into `pieces`.
struct Cut {
  std::int64_t rows, columns, pieces;
  bool left_passes;  // else A's strips are resident
};

template <class Format, class T>
Cut cut_of(const ProductOperand<T>& a, std::int64_t lines_of_b, std::int64_t threads) {
  const std::int64_t left = strips_of(a.lines), right = strips_of(lines_of_b);
  // By what the busiest has to do: a strip of A to pack takes as long as about four blocks, one of
  // B to read as long as three.
  std::int64_t rows = 1, least = -1;
  for (std::int64_t r = 1; r <= threads; ++r) {
    if (threads % r != 0) continue;
    const std::int64_t l = up(left, r), c = up(right, threads / r), cost = l * c + 4 * l + 3 * c;
    if (least >= 0 && cost >= least) continue;
    least = cost;
    rows = r;
  }
  const std::int64_t columns = threads / rows, l = up(left, rows), c = up(right, columns);
  const std::int64_t fit = order_of<Format>(steps_of<Format>(a.depth)).fit;
  // A's strips pass only if that is once, and if they lie in memory by lines.
  const bool left_passes = a.depth_stride == 1 && c <= l && c <= fit;
  // A group of resident strips costs as much by itself as among others.
  constexpr std::int64_t fewest_passing = 4, most_pieces = 4;
  const std::int64_t pieces =
      left_passes ? std::clamp<std::int64_t>(l / fewest_passing, 1, most_pieces) : up(l, fit);
  return {rows, columns, threads > 1 ? pieces : 1, left_passes};
}

template <class Format, class T>
std::int64_t pieces(const ProductOperand<T>& a, std::int64_t lines_of_b, std::int64_t threads) {
  return threads * cut_of<Format>(a, lines_of_b, threads).pieces;
}

template <class Format, class T, class Result>
void multiply(const ProductOperand<T>& a, const PackedOperand& b,
              const ProductResult<Result>& result, std::int64_t piece, std::int64_t threads) {
  const Cut cut = cut_of<Format>(a, b.lines, threads);
  const std::int64_t cell = piece % threads;
  const Range left = Range{0, strips_of(a.lines)}
                         .share(cell / cut.columns, cut.rows)
                         .share(piece / threads, cut.pieces);
  const Range right = Range{0, strips_of(b.lines)}.share(cell % cut.columns, cut.columns);
  if (left.size() == 0 || right.size() == 0) return;
  const Unit unit;
  if (cut.left_passes)
    multiply_range<Format, false>(a, b, result, left, right);
  else
    multiply_range<Format, true>(a, b, result, left, right);
  _mm_sfence();  // what was streamed is there for all threads
}

template <class Format, class T>
constexpr TypedProductKernels<T> kernels_of{packed_bytes<Format>,   pack<Format, T>,
                                            pack<Format, float>,    pieces<Format, T>,
                                            multiply<Format, T, T>, multiply<Format, T, float>};

}  // namespace

extern const ProductKernels products;
const ProductKernels products{kernels_of<FloatFormat, float>, kernels_of<Bf16Format, Bf16>};

}  // namespace sgmae::SGMAE_ISA
