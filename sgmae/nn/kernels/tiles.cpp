#include "sgmae/nn/kernels/tiles.h"

#include <immintrin.h>

#include <algorithm>
#include <memory>
#include <new>

namespace sgmae::amx {
namespace {

constexpr std::int64_t tile_bytes = 1024;

// How much of one operand stays in the second cache (2 MiB) while the other passes by.
constexpr std::int64_t resident_bytes = 1 << 20;
// Fewer resident strips than this, and a passing one is used too seldom for what it costs to read.
constexpr std::int64_t fewest_resident = 6;
// Steps of the passing strip at a time: of bf16, they stay in the first cache (48 KiB) for all
// resident strips; three pieces are used more often per byte and can come from the second.
constexpr std::int64_t most_passing_steps = 16;

std::int64_t up(std::int64_t count, std::int64_t size) {
  return (count + size - 1) / size;
}

std::int64_t steps_of(std::int64_t depth) {
  return up(depth, tile_step_depth);
}

std::int64_t strips_of(std::int64_t lines) {
  return up(lines, tile_lines);
}

struct Range {
  std::int64_t begin, end;

  std::int64_t size() const { return end - begin; }
  Range share(std::int64_t i, std::int64_t n) const {
    return {begin + size() * i / n, begin + size() * (i + 1) / n};
  }
};

enum class Side { left, right };  // A or B

// ---- Packing ------------------------------------------------------------------------------------

__mmask16 first(std::int64_t count) {
  return static_cast<__mmask16>(count >= 16 ? 0xffff : count <= 0 ? 0 : (1u << count) - 1);
}

__mmask32 first32(std::int64_t count) {
  return count >= 32 ? 0xffffffffu : (1u << count) - 1;
}

__m512 widened(__m256i bf16) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bf16), 16));
}

__m512i paired(__m256i even, __m256i odd) {
  return _mm512_or_si512(_mm512_cvtepu16_epi32(even),
                         _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
}

// 16 vectors of `pieces` kinds: pairs of neighbours along the depth.
template <int pieces>
using Pairs = __m512i[pieces][16];

// Vector i of `to`: the pairs of one line, from `count` <= 32 values that lie side by side.
template <int pieces>
void load_line(const Bf16* from, std::int64_t count, int i, Pairs<pieces>& to) {
  to[0][i] = _mm512_maskz_loadu_epi16(first32(count), from);
}

template <int pieces>
void load_line(const float* from, std::int64_t count, int i, Pairs<pieces>& to) {
  __m512 low = _mm512_maskz_loadu_ps(first(count), from);
  __m512 high = _mm512_maskz_loadu_ps(first(count - 16), from + 16);
  for (int p = 0; p < pieces; ++p) {
    to[p][i] = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
    if (p + 1 == pieces) break;
    low = _mm512_sub_ps(low, widened(_mm512_castsi512_si256(to[p][i])));
    high = _mm512_sub_ps(high, widened(_mm512_extracti64x4_epi64(to[p][i], 1)));
  }
}

// Vector i of `to`: one pair of each of `count` <= 16 lines that lie side by side, from the two
// depths `even` and `odd`; null for a depth past the end.
template <int pieces>
void load_pair(const Bf16* even, const Bf16* odd, std::int64_t count, int i, Pairs<pieces>& to) {
  const __mmask16 mask = first(count);
  to[0][i] = paired(even ? _mm256_maskz_loadu_epi16(mask, even) : _mm256_setzero_si256(),
                    odd ? _mm256_maskz_loadu_epi16(mask, odd) : _mm256_setzero_si256());
}

template <int pieces>
void load_pair(const float* even, const float* odd, std::int64_t count, int i, Pairs<pieces>& to) {
  const __mmask16 mask = first(count);
  __m512 a = even ? _mm512_maskz_loadu_ps(mask, even) : _mm512_setzero_ps();
  __m512 b = odd ? _mm512_maskz_loadu_ps(mask, odd) : _mm512_setzero_ps();
  for (int p = 0; p < pieces; ++p) {
    const __m256i x = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(a));
    const __m256i y = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(b));
    to[p][i] = paired(x, y);
    if (p + 1 == pieces) break;
    a = _mm512_sub_ps(a, widened(x));
    b = _mm512_sub_ps(b, widened(y));
  }
}

// Value j of vector i becomes value i of vector j.
void transpose(__m512i (&v)[16]) {
  __m512i t[16];
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(v[2 * i], v[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(v[2 * i], v[2 * i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int half = 0; half < 16; half += 8)
    for (int j = half; j < half + 4; ++j) {
      t[j] = _mm512_shuffle_i32x4(v[j], v[j + 4], 0x88);
      t[j + 4] = _mm512_shuffle_i32x4(v[j], v[j + 4], 0xdd);
    }
  for (int j = 0; j < 8; ++j) {
    v[j] = _mm512_shuffle_i32x4(t[j], t[j + 8], 0x88);
    v[j + 8] = _mm512_shuffle_i32x4(t[j], t[j + 8], 0xdd);
  }
}

// Packs one step of one strip. A left tile is a row per line, a right one a row per pair.
template <int pieces, class T>
void pack_step(Side side, const ProductOperand<T>& from, std::int64_t strip, std::int64_t step,
               char* to) {
  const std::int64_t depth = std::min(tile_step_depth, from.depth - step * tile_step_depth);
  for (std::int64_t tile = 0; tile < 2; ++tile, to += tile_bytes) {
    const std::int64_t line = strip * tile_lines + tile * 16;
    const std::int64_t lines = std::clamp<std::int64_t>(from.lines - line, 0, 16);
    const T* data =
        from.data + line * from.line_stride + step * tile_step_depth * from.depth_stride;
    Pairs<pieces> v;
    const bool by_line = from.depth_stride == 1;
    for (int i = 0; i < 16; ++i) {
      if (by_line) {
        load_line<pieces>(data + i * from.line_stride, i < lines ? depth : 0, i, v);
      } else {
        const T* even = data + 2 * i * from.depth_stride;
        load_pair<pieces>(2 * i < depth ? even : nullptr,
                          2 * i + 1 < depth ? even + from.depth_stride : nullptr, lines, i, v);
      }
    }
    for (int p = 0; p < pieces; ++p) {
      if (by_line != (side == Side::left)) transpose(v[p]);
      for (int i = 0; i < 16; ++i) _mm512_store_si512(to + p * tile_step_bytes + i * 64, v[p][i]);
    }
  }
}

// Packs steps and strips to where `place` says, in the order in which they lie in memory: steps of
// a strip if that is the depth, else strips of a step.
template <int pieces, class T, class Place>
void pack_block(Side side, const ProductOperand<T>& from, Range strips, Range steps, Place place) {
  if (from.depth_stride == 1) {
    for (std::int64_t s = strips.begin; s < strips.end; ++s)
      for (std::int64_t k = steps.begin; k < steps.end; ++k)
        pack_step<pieces>(side, from, s, k, place(s, k));
  } else {
    for (std::int64_t k = steps.begin; k < steps.end; ++k)
      for (std::int64_t s = strips.begin; s < strips.end; ++s)
        pack_step<pieces>(side, from, s, k, place(s, k));
  }
}

template <int pieces, class T>
void pack_share(const ProductOperand<T>& from, char* to, std::int64_t share, std::int64_t shares) {
  const Range strips{0, strips_of(from.lines)}, steps{0, steps_of(from.depth)};
  const auto place = [&](std::int64_t strip, std::int64_t step) {
    return to + (strip * steps.end + step) * tile_step_bytes * pieces;
  };
  if (from.depth_stride == 1)
    pack_block<pieces>(Side::right, from, strips.share(share, shares), steps, place);
  else
    pack_block<pieces>(Side::right, from, strips, steps.share(share, shares), place);
}

void pack_bf16(const ProductOperand<Bf16>& from, const PackedOperand& to, std::int64_t share,
               std::int64_t shares) {
  pack_share<1>(from, to.data, share, shares);
}

void pack_float(const ProductOperand<float>& from, const PackedOperand& to, std::int64_t share,
                std::int64_t shares) {
  if (to.pieces == 1)
    pack_share<1>(from, to.data, share, shares);
  else
    pack_share<3>(from, to.data, share, shares);
}

// ---- Multiplying --------------------------------------------------------------------------------

struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// The unit holds its tiles per thread, from construction to destruction.
class TileUnit {
 public:
  TileUnit() {
    const TileConfig config;
    asm volatile("" ::"r"(&config) : "memory");  // the intrinsic does not say that it reads all
    _tile_loadconfig(&config);
  }
  ~TileUnit() { _tile_release(); }
  TileUnit(const TileUnit&) = delete;
  TileUnit& operator=(const TileUnit&) = delete;
};

// Two tiles of an operand into the tiles `low` and `high`. The resident one is loaded with the hint
// that it is not wanted in the first cache, where the passing one is to stay.
#define SGMAE_LOAD(low, high, from, resident)          \
  if constexpr (resident) {                            \
    _tile_stream_loadd(low, from, 64);                 \
    _tile_stream_loadd(high, (from) + tile_bytes, 64); \
  } else {                                             \
    _tile_loadd(low, from, 64);                        \
    _tile_loadd(high, (from) + tile_bytes, 64);        \
  }

// c [32, 32] = the product of two strips over `steps`, or for `add` that much more.
template <int pieces, bool left_resident>
void multiply_strips(const char* left, const char* right, std::int64_t steps, bool add, float* c) {
  constexpr int row = 32 * sizeof(float);
  if (add) {
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
      SGMAE_LOAD(4, 5, left + p * tile_step_bytes, left_resident)
      for (int q = 0; p + q < pieces; ++q) {  // of three: 00, 01, 02, 10, 11, 20
        SGMAE_LOAD(6, 7, right + q * tile_step_bytes, !left_resident)
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
    left += pieces * tile_step_bytes;
    right += pieces * tile_step_bytes;
  }
  _tile_stored(0, c, row);
  _tile_stored(1, c + 16, row);
  _tile_stored(2, c + 16 * 32, row);
  _tile_stored(3, c + 16 * 32 + 16, row);
}
#undef SGMAE_LOAD

void write_row(Bf16* to, __m512 a, __m512 b, std::int64_t count, bool streamed) {
  const __m512i row = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(b, a));
  if (streamed && count == 32)
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to), row);
  else
    _mm512_mask_storeu_epi16(to, first32(count), row);
}

void write_row(float* to, __m512 a, __m512 b, std::int64_t count, bool streamed) {
  if (streamed && count == 32) {
    _mm512_stream_ps(to, a);
    _mm512_stream_ps(to + 16, b);
  } else {
    _mm512_mask_storeu_ps(to, first(count), a);
    _mm512_mask_storeu_ps(to + 16, first(count - 16), b);
  }
}

// Brings block (i, j) of the product to its place.
template <class T>
void write_block(const ProductResult<T>& result, std::int64_t m, std::int64_t n, std::int64_t i,
                 std::int64_t j, bool add, bool streamed, const float* c) {
  const std::int64_t row = i * tile_lines, column = j * tile_lines;
  const std::int64_t rows = std::min(tile_lines, m - row), count = std::min(tile_lines, n - column);
  __m512 bias_a = _mm512_setzero_ps(), bias_b = _mm512_setzero_ps();
  if (result.bias && !add) {
    bias_a = _mm512_maskz_loadu_ps(first(count), result.bias + column);
    bias_b = _mm512_maskz_loadu_ps(first(count - 16), result.bias + column + 16);
  }
  for (std::int64_t r = 0; r < rows; ++r, c += 32) {
    T* to = result.data + (row + r) * result.stride + column;
    __m512 a = _mm512_add_ps(_mm512_load_ps(c), bias_a);
    __m512 b = _mm512_add_ps(_mm512_load_ps(c + 16), bias_b);
    if constexpr (sizeof(T) == sizeof(float))
      if (add) {
        a = _mm512_add_ps(a, _mm512_maskz_loadu_ps(first(count), to));
        b = _mm512_add_ps(b, _mm512_maskz_loadu_ps(first(count - 16), to + 16));
      }
    write_row(to, a, b, count, streamed && !add);
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
  std::int64_t part_steps;     // of the depth, for fp32 results, which can be added up in place
  std::int64_t passing_steps;  // of a passing strip for all resident ones
  std::int64_t fit;            // resident strips
};

template <int pieces, class Result>
Order order_of(std::int64_t steps) {
  constexpr std::int64_t step_bytes = tile_step_bytes * pieces;
  constexpr bool adds_up = sizeof(Result) == sizeof(float);
  const std::int64_t parts = adds_up ? up(steps, resident_bytes / fewest_resident / step_bytes) : 1;
  const std::int64_t part_steps = up(steps, parts);
  return {part_steps, up(part_steps, up(part_steps, most_passing_steps)),
          std::max<std::int64_t>(1, resident_bytes / (part_steps * step_bytes))};
}

template <int pieces, bool left_resident, class T, class Result>
void multiply_range(const ProductOperand<T>& a, const PackedOperand& b,
                    const ProductResult<Result>& result, Range left, Range right) {
  constexpr std::int64_t step_bytes = tile_step_bytes * pieces, block = tile_lines * tile_lines;
  const std::int64_t steps = steps_of(a.depth);
  const auto [part_steps, passing_steps, fit] = order_of<pieces, Result>(steps);
  const Range resident = left_resident ? left : right, passing = left_resident ? right : left;
  const std::int64_t groups = up(resident.size(), fit);
  // Written past the caches: reading lines in first, only to overwrite them, costs more than that
  // the next reader finds them in memory (measured).
  const bool streamed = reinterpret_cast<std::uintptr_t>(result.data) % 64 == 0 &&
                        result.stride * sizeof(Result) % 64 == 0;
  thread_local Scratch<char> packed;
  thread_local Scratch<float> sums;
  const std::int64_t group_strips = up(resident.size(), groups);
  char* const a_packed = packed.of((left_resident ? group_strips : 1) * part_steps * step_bytes);
  float* const c = sums.of(group_strips * block);

  for (std::int64_t part = 0; part < steps; part += part_steps) {
    const Range depth{part, std::min(steps, part + part_steps)};
    for (std::int64_t g = 0; g < groups; ++g) {
      const Range group = resident.share(g, groups);
      const auto pack_left = [&](Range strips) {
        pack_block<pieces>(Side::left, a, strips, depth, [&](std::int64_t s, std::int64_t k) {
          return a_packed + ((s - strips.begin) * part_steps + k - part) * step_bytes;
        });
      };
      if (left_resident) pack_left(group);
      for (std::int64_t p = passing.begin; p < passing.end; ++p) {
        if (!left_resident) pack_left({p, p + 1});
        for (std::int64_t k = part; k < depth.end; k += passing_steps)
          for (std::int64_t r = group.begin; r < group.end; ++r) {
            const std::int64_t place = left_resident ? r - group.begin : 0;
            const std::int64_t i = left_resident ? r : p, j = left_resident ? p : r;
            float* const block_sums = c + (r - group.begin) * block;
            multiply_strips<pieces, left_resident>(
                a_packed + (place * part_steps + k - part) * step_bytes,
                b.data + (j * steps + k) * step_bytes, std::min(passing_steps, depth.end - k),
                k > part, block_sums);
            if (k + passing_steps >= depth.end)
              write_block(result, a.lines, b.lines, i, j, result.add || part > 0, streamed,
                          block_sums);
          }
      }
    }
  }
}

template <int pieces, class T, class Result>
void multiply_share(const ProductOperand<T>& a, const PackedOperand& b,
                    const ProductResult<Result>& result, std::int64_t share, std::int64_t shares) {
  const Range left{0, strips_of(a.lines)}, right{0, strips_of(b.lines)};
  // A grid of shares, by what the busiest has to do: a strip of A to pack takes as long as about
  // four blocks, one of B to read as long as three.
  std::int64_t rows = 1, least = -1;
  for (std::int64_t r = 1; r <= shares; ++r) {
    if (shares % r != 0) continue;
    const std::int64_t l = up(left.size(), r), c = up(right.size(), shares / r),
                       cost = l * c + 4 * l + 3 * c;
    if (least >= 0 && cost >= least) continue;
    least = cost;
    rows = r;
  }
  const std::int64_t columns = shares / rows;
  const Range my_left = left.share(share / columns, rows);
  const Range my_right = right.share(share % columns, columns);
  if (my_left.size() == 0 || my_right.size() == 0) return;
  // A's strips pass only if that is once, and if they lie in memory by lines.
  const bool left_passes = a.depth_stride == 1 && my_right.size() <= my_left.size() &&
                           my_right.size() <= order_of<pieces, Result>(steps_of(a.depth)).fit;
  const TileUnit unit;
  if (left_passes)
    multiply_range<pieces, false>(a, b, result, my_left, my_right);
  else
    multiply_range<pieces, true>(a, b, result, my_left, my_right);
  _mm_sfence();  // what was written past the caches is there for all threads
}

void multiply_bf16(const ProductOperand<Bf16>& a, const PackedOperand& b,
                   const ProductResult<Bf16>& result, std::int64_t share, std::int64_t shares) {
  multiply_share<1>(a, b, result, share, shares);
}

void multiply_bf16_to_float(const ProductOperand<Bf16>& a, const PackedOperand& b,
                            const ProductResult<float>& result, std::int64_t share,
                            std::int64_t shares) {
  multiply_share<1>(a, b, result, share, shares);
}

void multiply_float(const ProductOperand<float>& a, const PackedOperand& b,
                    const ProductResult<float>& result, std::int64_t share, std::int64_t shares) {
  multiply_share<3>(a, b, result, share, shares);
}

}  // namespace

extern const TileKernels kernels;
const TileKernels kernels{pack_bf16, pack_float, multiply_bf16, multiply_bf16_to_float,
                          multiply_float};

}  // namespace sgmae::amx
