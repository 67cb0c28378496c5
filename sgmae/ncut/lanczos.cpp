#include "sgmae/ncut/lanczos.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/instruction_set.h"

namespace sgmae {
namespace {

constexpr std::int64_t kPadding = 16;    // floats; rows are padded to multiples of it
constexpr std::int64_t kMaxSteps = 120;  // beyond, the exact solver is not much slower
constexpr std::int64_t kFirstCheck = 8;  // steps before the first look at convergence
constexpr double kVectorError = 5e-5;    // bound on the error of the unit eigenvector
constexpr double kSafety = 0.5;          // of it, asked of the cheap estimate

template <int kLanes>
struct Vector;
template <>
struct Vector<4> {
  using type [[gnu::vector_size(16)]] = float;
};
template <>
struct Vector<8> {
  using type [[gnu::vector_size(32)]] = float;
};
template <>
struct Vector<16> {
  using type [[gnu::vector_size(64)]] = float;
};

// The loops over rows, for vectors of kLanes floats. All of it is inlined into one function per
// instruction set (the end of this file), so that each is compiled with what its machine has.
template <int kLanes>
struct Kernels {
  using Lanes = typename Vector<kLanes>::type;

  [[gnu::always_inline]] static void load(Lanes& to, const float* from) {
    std::memcpy(&to, from, sizeof to);
  }
  [[gnu::always_inline]] static void store(float* to, const Lanes& from) {
    std::memcpy(to, &from, sizeof from);
  }
  [[gnu::always_inline]] static float sum(const Lanes& v) {
    using Quad [[gnu::vector_size(16)]] = float;
    Quad quads[kLanes / 4];
    std::memcpy(quads, &v, sizeof v);
    for (int i = 1; i < kLanes / 4; ++i) quads[0] += quads[i];
    return (quads[0][0] + quads[0][1]) + (quads[0][2] + quads[0][3]);
  }

  // Clamped weights [n, stride] of similarity [n, n], columns n.. zero, and their row sums.
  [[gnu::always_inline]] static void clamp_weights(const float* similarity, std::int64_t n,
                                                   std::int64_t stride, const NcutOptions& options,
                                                   float* weights, float* degree) {
    const float tau = static_cast<float>(options.tau);
    const float epsilon = static_cast<float>(options.epsilon);
    const bool binary = options.binary;
    for (std::int64_t i = 0; i < n; ++i) {
      const float* from = similarity + i * n;
      float* to = weights + i * stride;
      Lanes total{};
      Lanes not_finite{};  // x - x is NaN unless x is finite; it must not be lost in the clamp
      for (std::int64_t j = 0; j < stride; j += kLanes) {
        Lanes x{};
        if (j + kLanes <= n)
          load(x, from + j);
        else if (j < n)
          std::memcpy(&x, from + j, (n - j) * sizeof(float));
        not_finite += x - x;
        const Lanes high = binary ? x - x + 1.0f : x;
        Lanes w = x < tau ? Lanes{} + epsilon : high;
        for (std::int64_t k = std::max<std::int64_t>(n - j, 0); k < kLanes; ++k) w[k] = 0;
        store(to + j, w);
        total += w;
      }
      degree[i] = sum(total) + sum(not_finite);
    }
  }

  // W - d d' / (sum of d), in place, for W [n, stride]; `relative` is d / (sum of d), [stride] with
  // zeros behind n. Vectors that are orthogonal to D^1/2 1 do not notice, but where all patches are
  // much alike the part that is taken away is a thousand times what is left, and its rounding would
  // drown the second eigenvector.
  [[gnu::always_inline]] static void deflate(std::int64_t n, std::int64_t stride,
                                             const float* degree, const float* relative,
                                             float* weights) {
    for (std::int64_t i = 0; i < n; ++i) {
      float* row = weights + i * stride;
      for (std::int64_t j = 0; j < stride; j += kLanes) {
        Lanes w, r;
        load(w, row + j);
        load(r, relative + j);
        w -= r * degree[i];
        store(row + j, w);
      }
    }
  }

  // kCount * kLanes values of W u, held in registers over the rows of symmetric W [n, stride].
  template <int kCount>
  [[gnu::always_inline]] static void multiply_columns(const float* weights, std::int64_t n,
                                                      std::int64_t stride, const float* u,
                                                      float* out) {
    Lanes total[kCount] = {};
    for (std::int64_t j = 0; j < n; ++j) {
#pragma GCC unroll 8
      for (int k = 0; k < kCount; ++k) {
        Lanes w;
        load(w, weights + j * stride + k * kLanes);
        total[k] += w * u[j];
      }
    }
#pragma GCC unroll 8
    for (int k = 0; k < kCount; ++k) store(out + k * kLanes, total[k]);
  }

  // out [stride] = W u for symmetric W [n, stride] and u [n].
  [[gnu::always_inline]] static void multiply(const float* weights, std::int64_t n,
                                              std::int64_t stride, const float* u, float* out) {
    std::int64_t at = 0;
    for (; at + 8 * kLanes <= stride; at += 8 * kLanes)
      multiply_columns<8>(weights + at, n, stride, u, out + at);
    for (; at + 4 * kLanes <= stride; at += 4 * kLanes)
      multiply_columns<4>(weights + at, n, stride, u, out + at);
    for (; at < stride; at += kLanes) multiply_columns<1>(weights + at, n, stride, u, out + at);
  }

  // out = S v = D^-1/2 W D^-1/2 v; `scaled` [stride] is for its own use.
  [[gnu::always_inline]] static void apply(const float* weights, const float* inverse_root,
                                           std::int64_t n, std::int64_t stride, const float* v,
                                           float* scaled, float* out) {
    for (std::int64_t i = 0; i < n; ++i) scaled[i] = v[i] * inverse_root[i];
    multiply(weights, n, stride, scaled, out);
    for (std::int64_t i = 0; i < n; ++i) out[i] *= inverse_root[i];
  }

  // Takes from w [stride] its components along basis [count, stride] (orthonormal rows); returns
  // the component along the last of them. One pass of classical Gram-Schmidt.
  [[gnu::always_inline]] static float orthogonalise(const float* basis, std::int64_t count,
                                                    std::int64_t stride, float* w,
                                                    float* components) {
    for (std::int64_t i = 0; i < count; ++i) {
      Lanes total{};
      for (std::int64_t j = 0; j < stride; j += kLanes) {
        Lanes x, y;
        load(x, basis + i * stride + j);
        load(y, w + j);
        total += x * y;
      }
      components[i] = sum(total);
    }
    for (std::int64_t j = 0; j < stride; j += kLanes) {
      Lanes x;
      load(x, w + j);
      for (std::int64_t i = 0; i < count; ++i) {
        Lanes y;
        load(y, basis + i * stride + j);
        x -= y * components[i];
      }
      store(w + j, x);
    }
    return components[count - 1];
  }
};

float norm(const float* v, std::int64_t n) {
  double total = 0;
  for (std::int64_t i = 0; i < n; ++i) total += static_cast<double>(v[i]) * v[i];
  return static_cast<float>(std::sqrt(total));
}

void scale(float* v, std::int64_t n, float factor) {
  for (std::int64_t i = 0; i < n; ++i) v[i] *= factor;
}

// Eigenvalues above x of the tridiagonal matrix with diagonal a and off-diagonal b, by the signs of
// the pivots of T - x.
int count_above(const std::vector<double>& a, const std::vector<double>& b, double x) {
  int above = 0;
  double pivot = 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    pivot = a[i] - x - (i > 0 ? b[i - 1] * b[i - 1] / pivot : 0.0);
    if (pivot == 0) pivot = -1e-300;
    above += pivot > 0;
  }
  return above;
}

struct RitzPair {
  double value = 0, second = 0;  // the two largest eigenvalues of T
  std::vector<double> vector;    // unit eigenvector of the largest
};

// Bisection for the values, inverse iteration from just above the largest for the vector (there
// T - x is negative definite, so elimination needs no pivoting). `lower`: a bound from below on the
// largest; eigenvalues of S are at most 1.
RitzPair largest_pair(const std::vector<double>& a, const std::vector<double>& b, double lower) {
  RitzPair pair;
  double low = lower, high = 1 + 1e-5;
  while (high - low > 1e-9) {
    const double middle = 0.5 * (low + high);
    (count_above(a, b, middle) >= 1 ? low : high) = middle;
  }
  pair.value = high;

  // Only its distance from the largest matters, to a tenth.
  double second_low = -1 - 1e-5, second_high = high;
  while (second_high - second_low > std::max(1e-9, 0.1 * (high - second_high))) {
    const double middle = 0.5 * (second_low + second_high);
    (count_above(a, b, middle) >= 2 ? second_low : second_high) = middle;
  }
  pair.second = second_high;

  const std::size_t m = a.size();
  const double shift = high + 1e-9;
  std::vector<double> pivot(m);
  for (std::size_t i = 0; i < m; ++i)
    pivot[i] = std::min(a[i] - shift - (i > 0 ? b[i - 1] * b[i - 1] / pivot[i - 1] : 0.0), -1e-14);
  pair.vector.assign(m, 1.0);
  for (int iteration = 0; iteration < 3; ++iteration) {
    std::vector<double>& x = pair.vector;
    for (std::size_t i = 1; i < m; ++i) x[i] -= b[i - 1] / pivot[i - 1] * x[i - 1];
    x[m - 1] /= pivot[m - 1];
    for (std::size_t i = m - 1; i-- > 0;) x[i] = (x[i] - b[i] * x[i + 1]) / pivot[i];
    double squares = 0;
    for (const double value : x) squares += value * value;
    for (double& value : x) value /= std::sqrt(squares);
  }
  return pair;
}

// second_eigenvector() with vectors of kLanes floats.
template <int kLanes>
[[gnu::always_inline]] inline SecondEigenvector solve(const float* similarity, std::int64_t n,
                                                      const NcutOptions& options,
                                                      LanczosWorkspace& workspace, float* y) {
  using K = Kernels<kLanes>;
  SecondEigenvector result;
  const std::int64_t stride = (n + kPadding - 1) / kPadding * kPadding;
  const std::int64_t max_steps = std::min(kMaxSteps, n - 1);
  workspace.weights.resize(n * stride);
  workspace.basis.assign((max_steps + 2) * stride, 0.0f);
  workspace.scratch.assign(4 * stride + max_steps + 2, 0.0f);
  float* const weights = workspace.weights.data();
  float* const basis = workspace.basis.data();
  float* const inverse_root = workspace.scratch.data();  // D^-1/2
  float* const scaled = inverse_root + stride;
  float* const z = scaled + stride;
  float* const image = z + stride;
  float* const components = image + stride;

  float* const degree = scaled;  // only until deflate()
  float* const relative = z;
  K::clamp_weights(similarity, n, stride, options, weights, degree);
  double volume = 0;
  for (std::int64_t i = 0; i < n; ++i) volume += degree[i];
  // The first eigenvector, D^1/2 1, is row 0 of the basis: everything stays orthogonal to it.
  for (std::int64_t i = 0; i < n; ++i) {
    if (!std::isfinite(degree[i]) || degree[i] <= 0) return result;
    basis[i] = std::sqrt(degree[i]);
    inverse_root[i] = 1 / basis[i];
    relative[i] = static_cast<float>(degree[i] / volume);
  }
  K::deflate(n, stride, degree, relative, weights);
  scale(basis, n, 1 / norm(basis, n));

  // A fixed start without structure: it has a share in every eigenvector.
  float* const first = basis + stride;
  std::uint32_t state = 12345;
  for (std::int64_t i = 0; i < n; ++i) {
    state = state * 1664525u + 1013904223u;
    first[i] = static_cast<float>(state >> 8) * 0x1.0p-23f - 1.0f;
  }
  K::orthogonalise(basis, 1, stride, first, components);
  scale(first, n, 1 / norm(first, n));

  std::vector<double> diagonal, off_diagonal;
  double lower = -1 - 1e-5, size = 0;
  std::int64_t next_check = kFirstCheck;
  for (std::int64_t step = 1; step <= max_steps; ++step) {
    float* const w = basis + (step + 1) * stride;
    K::apply(weights, inverse_root, n, stride, basis + step * stride, scaled, w);
    diagonal.push_back(K::orthogonalise(basis, step + 1, stride, w, components));
    const float beta = norm(w, n);
    result.steps = static_cast<int>(step);
    size = std::max({size, std::abs(diagonal.back()), static_cast<double>(beta)});
    // Below fp32's rounding w is noise: the start reaches no further. Early on that means
    // eigenvalues that coincide, of which Lanczos sees one only.
    const bool exhausted = !(beta > 1e-6 * size);
    if (exhausted && step < kFirstCheck) return result;

    if (step == next_check || step == max_steps || exhausted) {
      next_check += 4;
      const RitzPair ritz = largest_pair(diagonal, off_diagonal, lower);
      lower = ritz.value - 1e-6;  // Ritz values only grow with the space, up to fp32's rounding
      result.eigenvalue = ritz.value;
      result.gap = ritz.value - ritz.second;
      if (beta * std::abs(ritz.vector.back()) <= kSafety * kVectorError * result.gap) {
        std::fill(z, z + stride, 0.0f);
        for (std::int64_t k = 0; k < step; ++k) {
          const float share = static_cast<float>(ritz.vector[k]);
          const float* const v = basis + (k + 1) * stride;
          for (std::int64_t i = 0; i < n; ++i) z[i] += share * v[i];
        }
        K::apply(weights, inverse_root, n, stride, z, scaled, image);
        double squares = 0;
        for (std::int64_t i = 0; i < n; ++i) {
          const double r = image[i] - ritz.value * z[i];
          squares += r * r;
        }
        result.residual = std::sqrt(squares);
        result.converged = result.residual <= kVectorError * result.gap;
        for (std::int64_t i = 0; i < n; ++i) y[i] = z[i] * inverse_root[i];
        return result;  // what is left above the bound is rounding, which more steps do not mend
      }
    }
    if (exhausted) return result;
    off_diagonal.push_back(beta);
    scale(w, n, 1 / beta);
  }
  return result;
}

// Whole solves rather than single loops are compiled once per instruction set: a choice per loop
// would cost more than some of the loops.
SecondEigenvector solve_plain(const float* similarity, std::int64_t n, const NcutOptions& options,
                              LanczosWorkspace& workspace, float* y) {
  return solve<4>(similarity, n, options, workspace, y);
}

#ifdef __x86_64__
[[gnu::target("avx2,fma")]] SecondEigenvector solve_avx2(const float* similarity, std::int64_t n,
                                                         const NcutOptions& options,
                                                         LanczosWorkspace& workspace, float* y) {
  return solve<8>(similarity, n, options, workspace, y);
}

[[gnu::target("avx512f,avx512dq,avx512vl,avx512bw,fma")]] SecondEigenvector solve_avx512(
    const float* similarity, std::int64_t n, const NcutOptions& options,
    LanczosWorkspace& workspace, float* y) {
  return solve<16>(similarity, n, options, workspace, y);
}
#endif

auto choose_solver() {
#ifdef __x86_64__
  if (instruction_set() >= InstructionSet::avx512) return solve_avx512;
  if (instruction_set() >= InstructionSet::avx2) return solve_avx2;
#endif
  return solve_plain;
}

}  // namespace

SecondEigenvector second_eigenvector(const float* similarity, std::int64_t n,
                                     const NcutOptions& options, LanczosWorkspace& workspace,
                                     float* y) {
  SGMAE_ASSERT(n >= 2);
  static const auto solver = choose_solver();
  return solver(similarity, n, options, workspace, y);
}

}  // namespace sgmae
