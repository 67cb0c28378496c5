// Plain loops that the compiler turns into vector code; compiled once per instruction set with
// SGMAE_ISA naming it, under relaxed floating-point rules (reassociation), NaN and infinity kept.
// Where more than one number is read for each that is written, results are __restrict: else the
// compiler makes vector code and plain code of a loop, chooses by how far apart the operands lie,
// and the two differ in their last bits.
#include "sgmae/nn/kernels/cpu.h"

#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "sgmae/nn/kernels/values.h"

namespace sgmae::SGMAE_ISA {
namespace {

// The error function within 1.5e-7 (Abramowitz & Stegun 7.1.26); `gauss` is e^(-x*x).
inline float error_function(float x, float gauss) {
  const float t = 1.0f / (1.0f + 0.3275911f * std::fabs(x));
  const float p = ((((1.061405429f * t - 1.453152027f) * t + 1.421413741f) * t - 0.284496736f) * t +
                   0.254829592f) *
                  t;
  return std::copysign(1.0f - p * gauss, x);
}

// The largest of n > 0 values, in sixteen lanes by hand, since the rules kept for NaN stop the
// compiler from splitting a maximum.
inline float maximum(const float* x, std::int64_t n) {
  constexpr std::int64_t lanes = 16;
  using Lanes = float __attribute__((vector_size(lanes * sizeof(float))));
  std::int64_t i = 0;
  float largest = x[0];
  if (n >= lanes) {
    Lanes best, next;
    std::memcpy(&best, x, sizeof(best));
    for (i = lanes; i + lanes <= n; i += lanes) {
      std::memcpy(&next, x + i, sizeof(next));
      best = next > best ? next : best;
    }
    for (std::int64_t half = lanes / 2; half > 0; half /= 2)
      for (std::int64_t j = 0; j < half; ++j)
        best[j] = best[j + half] > best[j] ? best[j + half] : best[j];
    largest = best[0];
  }
  for (; i < n; ++i) largest = x[i] > largest ? x[i] : largest;
  return largest;
}

// A loop of its own: beside an exponential the compiler makes no vector code of it.
inline float total_of(const float* x, std::int64_t n) {
  float total = 0;
  for (std::int64_t i = 0; i < n; ++i) total += x[i];
  return total;
}

template <class T>
void add_layer_norm(std::int64_t rows, std::int64_t dim, const float* x, const T* delta,
                    const float* weight, const float* bias, float eps, float* sum, T* y,
                    float* mean, float* rstd) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* row = x + r * dim;
    if (delta) {
      float* out = sum + r * dim;
      const T* add = delta + r * dim;
      for (std::int64_t i = 0; i < dim; ++i) out[i] = row[i] + load(add[i]);
      row = out;
    }
    const float m = total_of(row, dim) / static_cast<float>(dim);
    float squares = 0;
    for (std::int64_t i = 0; i < dim; ++i) squares += (row[i] - m) * (row[i] - m);
    const float s = 1.0f / std::sqrt(squares / static_cast<float>(dim) + eps);
    T* out = y + r * dim;
    for (std::int64_t i = 0; i < dim; ++i) store(out[i], (row[i] - m) * s * weight[i] + bias[i]);
    mean[r] = m;
    rstd[r] = s;
  }
}

template <class T>
void layer_norm_backward(std::int64_t rows, std::int64_t dim, const T* dy, const float* x,
                         const float* mean, const float* rstd, const float* weight,
                         float* __restrict dx, float* __restrict weight_grad,
                         float* __restrict bias_grad) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* g = dy + r * dim;
    const float* row = x + r * dim;
    float* out = dx + r * dim;
    const float m = mean[r], s = rstd[r];
    float mean_g = 0, mean_gx = 0;
    for (std::int64_t i = 0; i < dim; ++i) {
      const float gi = load(g[i]);
      const float normed = (row[i] - m) * s;
      weight_grad[i] += gi * normed;
      bias_grad[i] += gi;
      mean_g += gi * weight[i];
      mean_gx += gi * weight[i] * normed;
    }
    mean_g /= static_cast<float>(dim);
    mean_gx /= static_cast<float>(dim);
    for (std::int64_t i = 0; i < dim; ++i)
      out[i] += s * (load(g[i]) * weight[i] - mean_g - (row[i] - m) * s * mean_gx);
  }
}

constexpr float kSqrtHalf = 0.70710678118654752440f;
constexpr float kInvSqrt2Pi = 0.39894228040143267794f;

inline float exact_gelu(float v) {
  return 0.5f * v * (1.0f + error_function(v * kSqrtHalf, exponential(-0.5f * v * v)));
}

inline float exact_gelu_slope(float v) {
  const float gauss = exponential(-0.5f * v * v);
  return 0.5f * (1.0f + error_function(v * kSqrtHalf, gauss)) + v * kInvSqrt2Pi * gauss;
}

// A function of bf16 as a table: there are 65,536 numbers, and those that occur fit the first
// caches, so that looking up is half the work or less.
template <class To>
std::vector<To> table_of(float (*function)(float)) {
  std::vector<To> values(1 << 16);
  for (std::uint32_t bits = 0; bits < values.size(); ++bits)
    store(values[bits], function(load(Bf16{static_cast<std::uint16_t>(bits)})));
  return values;
}

void gelu(std::int64_t count, const float* h, float* a) {
  for (std::int64_t i = 0; i < count; ++i) a[i] = exact_gelu(h[i]);
}

void gelu(std::int64_t count, const Bf16* h, Bf16* a) {
  static const std::vector<Bf16> table = table_of<Bf16>(exact_gelu);
  const Bf16* value = table.data();
  for (std::int64_t i = 0; i < count; ++i) a[i] = value[h[i].bits];
}

void gelu_slopes(std::int64_t count, const float* h, float* slope) {
  for (std::int64_t i = 0; i < count; ++i) slope[i] = exact_gelu_slope(h[i]);
}

void gelu_slopes(std::int64_t count, const Bf16* h, float* slope) {
  static const std::vector<float> table = table_of<float>(exact_gelu_slope);
  const float* value = table.data();
  for (std::int64_t i = 0; i < count; ++i) slope[i] = value[h[i].bits];
}

template <class T>
void gelu_backward(std::int64_t rows, std::int64_t dim, const T* h, T* __restrict d,
                   float* __restrict column_sum) {
  constexpr std::int64_t width = 256;
  float slope[width];
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t begin = 0; begin < dim; begin += width) {
      const std::int64_t count = begin + width < dim ? width : dim - begin;
      T* dr = d + r * dim + begin;
      gelu_slopes(count, h + r * dim + begin, slope);
      for (std::int64_t i = 0; i < count; ++i) {
        const float g = load(dr[i]) * slope[i];
        store(dr[i], g);
        column_sum[begin + i] += g;
      }
    }
}

template <class T>
void column_sum(std::int64_t rows, std::int64_t dim, const T* d, float* __restrict sum) {
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t i = 0; i < dim; ++i) sum[i] += load(d[r * dim + i]);
}

template <class T>
void from_float(std::int64_t rows, std::int64_t dim, const float* from, std::int64_t from_stride,
                T* to, std::int64_t to_stride) {
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t i = 0; i < dim; ++i) store(to[r * to_stride + i], from[r * from_stride + i]);
}

template <class T>
void softmax(std::int64_t n, std::int64_t padded, float scale, float* logits, T* weights,
             float* inverse_total, float* log_sum_exp) {
  for (std::int64_t r = 0; r < n; ++r) {
    float* row = logits + r * padded;
    T* out = weights + r * padded;
    for (std::int64_t i = n; i < padded; ++i) row[i] = -HUGE_VALF;
    const float largest = maximum(row, padded);
    for (std::int64_t i = 0; i < padded; ++i) row[i] = exponential(scale * (row[i] - largest));
    const float total = total_of(row, padded);
    for (std::int64_t i = 0; i < padded; ++i) store(out[i], row[i]);
    inverse_total[r] = 1.0f / total;
    log_sum_exp[r] = scale * largest + std::log(total);
  }
}

template <class T>
void softmax_backward(std::int64_t n, std::int64_t padded, float scale, const float* logits,
                      const float* dweights, const float* log_sum_exp, const float* delta,
                      T* weights, T* dlogits) {
  for (std::int64_t r = 0; r < n; ++r) {
    const std::int64_t row = r * padded;
    for (std::int64_t i = 0; i < padded; ++i) {
      const float p = exponential(scale * logits[row + i] - log_sum_exp[r]);
      store(weights[row + i], p);
      store(dlogits[row + i], scale * p * (dweights[row + i] - delta[r]));
    }
  }
}

void add_relative(std::int64_t rows, std::int64_t columns, std::int64_t padded, float factor,
                  const float* h, std::int64_t h_stride, const float* w, std::int64_t w_stride,
                  float* logits) {
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c) {
      const std::int64_t query = r * columns + c;
      const float* const by_row = h + query * h_stride + rows - 1 - r;
      const float* const by_column = w + query * w_stride + columns - 1 - c;
      float* row = logits + query * padded;
      for (std::int64_t j = 0; j < rows; ++j, row += columns)
        for (std::int64_t k = 0; k < columns; ++k) row[k] += factor * (by_row[j] + by_column[k]);
    }
}

template <class T>
void sum_relative(std::int64_t rows, std::int64_t columns, std::int64_t padded, float factor,
                  const T* dlogits, T* dh, std::int64_t h_stride, T* dw, std::int64_t w_stride) {
  float by_column[largest_relative_side];
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c) {
      const std::int64_t query = r * columns + c;
      T* const to_h = dh + query * h_stride;
      T* const to_w = dw + query * w_stride;
      for (std::int64_t i = 0; i < h_stride; ++i) store(to_h[i], 0.0f);
      for (std::int64_t i = 0; i < w_stride; ++i) store(to_w[i], 0.0f);
      for (std::int64_t k = 0; k < columns; ++k) by_column[k] = 0;
      const T* row = dlogits + query * padded;
      for (std::int64_t j = 0; j < rows; ++j, row += columns) {
        float total = 0;
        for (std::int64_t k = 0; k < columns; ++k) {
          const float d = load(row[k]);
          by_column[k] += d;
          total += d;
        }
        store(to_h[rows - 1 - r + j], factor * total);
      }
      for (std::int64_t k = 0; k < columns; ++k)
        store(to_w[columns - 1 - c + k], factor * by_column[k]);
    }
}

void add_bias(const BiasRuns& runs, std::int64_t padded, const float* centre, const float* special,
              float* logits) {
  const std::int64_t rows = runs.rows, columns = runs.columns, first = runs.class_tokens;
  if (first > 0) {
    logits[0] += special[2];
    for (std::int64_t key = 1; key <= rows * columns; ++key) logits[key] += special[0];
  }
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c) {
      float* const row = logits + (first + r * columns + c) * padded;
      if (first > 0) row[0] += special[1];
      for (std::int64_t j = 0; j < rows; ++j) {
        const float* const run = centre + (j - r) * runs.stride - c;
        float* __restrict const keys = row + first + j * columns;
        for (std::int64_t k = 0; k < columns; ++k) keys[k] += run[k];
      }
    }
}

template <class T>
void sum_bias(const BiasRuns& runs, std::int64_t padded, float factor, const T* dlogits,
              float* dcentre, float* dspecial) {
  const std::int64_t rows = runs.rows, columns = runs.columns, first = runs.class_tokens;
  float to_patches = 0, to_class = 0;
  if (first > 0) {
    dspecial[2] += factor * load(dlogits[0]);
    for (std::int64_t key = 1; key <= rows * columns; ++key) to_patches += load(dlogits[key]);
  }
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c) {
      const T* const row = dlogits + (first + r * columns + c) * padded;
      if (first > 0) to_class += load(row[0]);
      for (std::int64_t j = 0; j < rows; ++j) {
        float* __restrict const run = dcentre + (j - r) * runs.stride - c;
        const T* const keys = row + first + j * columns;
        for (std::int64_t k = 0; k < columns; ++k) run[k] += factor * load(keys[k]);
      }
    }
  if (first > 0) {
    dspecial[0] += factor * to_patches;
    dspecial[1] += factor * to_class;
  }
}

template <class T>
void scale_rows(std::int64_t rows, std::int64_t dim, const float* factor, const float* from, T* to,
                std::int64_t to_stride) {
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t i = 0; i < dim; ++i)
      store(to[r * to_stride + i], factor[r] * from[r * dim + i]);
}

template <class T>
void row_products(std::int64_t rows, std::int64_t dim, const T* a, const T* b, std::int64_t stride,
                  float* out) {
  for (std::int64_t r = 0; r < rows; ++r) {
    float total = 0;
    for (std::int64_t i = 0; i < dim; ++i)
      total += load(a[r * stride + i]) * load(b[r * stride + i]);
    out[r] = total;
  }
}

template <class T>
void weighted_sum(std::int64_t terms, std::int64_t count, const T* const* term, const float* weight,
                  bool add, float* __restrict out) {
  constexpr std::int64_t block = 64;  // sums that stay in registers
  std::int64_t i = 0;
  for (; i + block <= count; i += block) {
    float sum[block];
    for (std::int64_t j = 0; j < block; ++j) sum[j] = add ? out[i + j] : 0.0f;
    for (std::int64_t t = 0; t < terms; ++t) {
      const float w = weight[t];
      const T* from = term[t] + i;
      for (std::int64_t j = 0; j < block; ++j) sum[j] += w * load(from[j]);
    }
    for (std::int64_t j = 0; j < block; ++j) out[i + j] = sum[j];
  }
  for (; i < count; ++i) {
    float sum = add ? out[i] : 0.0f;
    for (std::int64_t t = 0; t < terms; ++t) sum += weight[t] * load(term[t][i]);
    out[i] = sum;
  }
}

void adamw(std::int64_t count, const AdamWStep& step, float* __restrict grad,
           float* __restrict value, float* __restrict exp_avg, float* __restrict exp_avg_sq) {
  const AdamWStep s = step;
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = grad[i] * s.grad_scale;
    const float m = exp_avg[i] + (1.0f - s.beta1) * (g - exp_avg[i]);
    const float v = s.beta2 * exp_avg_sq[i] + (1.0f - s.beta2) * g * g;
    grad[i] = 0;
    exp_avg[i] = m;
    exp_avg_sq[i] = v;
    value[i] = s.decay * value[i] - s.step_size * m / (std::sqrt(v) / s.bias_correction2 + s.eps);
  }
}

template <class T>
constexpr RowKernels<T> rows{
    add_layer_norm<T>, layer_norm_backward<T>, gelu,           gelu_backward<T>,
    column_sum<T>,     from_float<T>,          softmax<T>,     softmax_backward<T>,
    add_relative,      sum_relative<T>,        add_bias,       sum_bias<T>,
    scale_rows<T>,     row_products<T>,        weighted_sum<T>};

}  // namespace

extern const CpuKernels kernels;
const CpuKernels kernels{rows<float>, rows<Bf16>, adamw};

}  // namespace sgmae::SGMAE_ISA
