#include "sgmae/dense/kernels/winograd.h"

#include "sgmae/nn/kernels/values.h"

namespace sgmae::SGMAE_ISA {
namespace {

// A vector of the processor's own width.
#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
using Floats = float __attribute__((vector_size(kLanes * 4)));

// The points +-a and +-b, their squares, and what G divides by: for a point the product of its
// distances to the others.
constexpr float a = 5.0f / 8, b = 3.0f / 2, aa = a * a, bb = b * b;
constexpr float by_zero = 1 / (aa * bb), by_a = 1 / (2 * aa * (aa - bb)),
                by_b = 1 / (2 * bb * (bb - aa));

// The matrices, each times a vector. Of a pair of points, one takes the sum and the other the
// difference of the same even and odd part.

struct Weight {  // G
  static constexpr int from = 3, to = 6;
  static void apply(const Floats (&g)[from], Floats (&u)[to]) {
    const Floats even_a = by_a * (g[0] + aa * g[2]), odd_a = by_a * a * g[1];
    const Floats even_b = by_b * (g[0] + bb * g[2]), odd_b = by_b * b * g[1];
    u[0] = by_zero * g[0];
    u[1] = even_a + odd_a;
    u[2] = even_a - odd_a;
    u[3] = even_b + odd_b;
    u[4] = even_b - odd_b;
    u[5] = g[2];
  }
};

struct WeightGradient {  // G^T
  static constexpr int from = 6, to = 3;
  static void apply(const Floats (&u)[from], Floats (&g)[to]) {
    const Floats even_a = by_a * (u[1] + u[2]), odd_a = by_a * a * (u[1] - u[2]);
    const Floats even_b = by_b * (u[3] + u[4]), odd_b = by_b * b * (u[3] - u[4]);
    g[0] = by_zero * u[0] + even_a + even_b;
    g[1] = odd_a + odd_b;
    g[2] = aa * even_a + bb * even_b + u[5];
  }
};

struct Input {  // B^T
  static constexpr int from = 6, to = 6;
  static void apply(const Floats (&d)[from], Floats (&v)[to]) {
    const Floats even_a = d[4] - bb * d[2], odd_a = a * (d[3] - bb * d[1]);
    const Floats even_b = d[4] - aa * d[2], odd_b = b * (d[3] - aa * d[1]);
    v[0] = aa * bb * d[0] - (aa + bb) * d[2] + d[4];
    v[1] = even_a + odd_a;
    v[2] = even_a - odd_a;
    v[3] = even_b + odd_b;
    v[4] = even_b - odd_b;
    v[5] = aa * bb * d[1] - (aa + bb) * d[3] + d[5];
  }
};

struct Output {  // A^T
  static constexpr int from = 6, to = 4;
  static void apply(const Floats (&m)[from], Floats (&y)[to]) {
    const Floats even_a = m[1] + m[2], odd_a = a * (m[1] - m[2]);
    const Floats even_b = m[3] + m[4], odd_b = b * (m[3] - m[4]);
    y[0] = m[0] + even_a + even_b;
    y[1] = odd_a + odd_b;
    y[2] = aa * even_a + bb * even_b;
    y[3] = aa * odd_a + bb * odd_b + m[5];
  }
};

struct OutputGradient {  // A
  static constexpr int from = 4, to = 6;
  static void apply(const Floats (&y)[from], Floats (&m)[to]) {
    const Floats even_a = y[0] + aa * y[2], odd_a = a * (y[1] + aa * y[3]);
    const Floats even_b = y[0] + bb * y[2], odd_b = b * (y[1] + bb * y[3]);
    m[0] = y[0];
    m[1] = even_a + odd_a;
    m[2] = even_a - odd_a;
    m[3] = even_b + odd_b;
    m[4] = even_b - odd_b;
    m[5] = y[3];
  }
};

template <class T>
Floats load_some(const T* from, std::int64_t count) {
  Floats values{};
  if (count == kLanes)
    for (int i = 0; i < kLanes; ++i) values[i] = load(from[i]);
  else
    for (std::int64_t i = 0; i < count; ++i) values[i] = load(from[i]);
  return values;
}

template <class T>
void store_some(Floats values, T* to, std::int64_t count) {
  if (count == kLanes)
    for (int i = 0; i < kLanes; ++i) store(to[i], values[i]);
  else
    for (std::int64_t i = 0; i < count; ++i) store(to[i], values[i]);
}

// The matrix from both sides, and perhaps a bias, for `count` channels from c on.
template <class Matrix, class From, class To>
[[gnu::always_inline]] inline void transform_some(std::int64_t c, std::int64_t count,
                                                  const From* const* from, const float* bias,
                                                  To* const* to) {
  constexpr int in = Matrix::from, out = Matrix::to;
  Floats half[out][in];
  for (int j = 0; j < in; ++j) {
    Floats column[in], result[out];
    for (int i = 0; i < in; ++i) {
      const From* const cell = from[i * in + j];
      column[i] = cell ? load_some(cell + c, count) : Floats{};
    }
    Matrix::apply(column, result);
    for (int i = 0; i < out; ++i) half[i][j] = result[i];
  }
  const Floats more = bias ? load_some(bias + c, count) : Floats{};
  for (int i = 0; i < out; ++i) {
    Floats row[out];
    Matrix::apply(half[i], row);
    for (int j = 0; j < out; ++j)
      if (To* const cell = to[i * out + j]) store_some(row[j] + more, cell + c, count);
  }
}

// Whole vectors have a loop of their own: with a count that the compiler does not know, every load
// and store takes a branch, and all takes three times as long.
template <class Matrix, class From, class To>
void transform(std::int64_t channels, const From* const* from, const float* bias, To* const* to) {
  std::int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) transform_some<Matrix>(c, kLanes, from, bias, to);
  if (c < channels) transform_some<Matrix>(c, channels - c, from, bias, to);
}

template <class Matrix, class From, class To>
void transform(std::int64_t channels, const From* const* from, To* const* to) {
  transform<Matrix>(channels, from, nullptr, to);
}

template <class T>
constexpr WinogradKernels<T> typed{transform<Weight, T, float>, transform<Input, T, float>,
                                   transform<OutputGradient, T, float>,
                                   transform<Output, float, T>};

}  // namespace

extern const AllWinogradKernels winograd_kernels;
const AllWinogradKernels winograd_kernels{typed<float>, typed<Bf16>,
                                          transform<WeightGradient, float, float>};

}  // namespace sgmae::SGMAE_ISA
