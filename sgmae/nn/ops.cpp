#include "sgmae/nn/ops.h"

#include <malloc.h>

#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/nn/kernels/aten.h"
#include "sgmae/nn/kernels/cpu.h"
#include "sgmae/nn/kernels/product.h"
#include "sgmae/nn/kernels/with_type.h"
#include "sgmae/nn/products.h"
#include "sgmae/nn/relative_attention.h"
#include "sgmae/nn/share_out.h"

namespace sgmae {
namespace {

template <class T>
T* data(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<T*>(tensor.data_ptr()) : nullptr;
}

// Column sums gathered in parts: a row for each, added up in order at the end.
class PartialSums {
 public:
  explicit PartialSums(std::int64_t dim)
      : dim_(dim), sums_(static_cast<std::size_t>(dim * most_parts()), 0.0f) {}
  float* part(std::int64_t part) { return sums_.data() + part * dim_; }
  void add_to(at::Tensor& grad) {
    float* out = data<float>(grad);
    for (auto sum = sums_.begin(); sum != sums_.end();)
      for (std::int64_t i = 0; i < dim_; ++i) out[i] += *sum++;
  }

 private:
  std::int64_t dim_;
  std::vector<float> sums_;
};

// result [m, n] = the product of a [m, depth] and b [n, depth], by the calling thread alone.
template <class T, class Result>
void multiply(const ProductOperand<T>& a, const ProductOperand<T>& b, Result* result,
              std::int64_t stride) {
  const TypedProductKernels<T>& kernels = typed_products<T>();
  const PackedOperand packed{packing_memory(kernels.packed_bytes(b.lines, b.depth)), b.lines,
                             b.depth};
  kernels.pack(b, packed, 0, 1);
  if constexpr (std::is_same_v<T, Result>)
    kernels.multiply(a, packed, {result, stride}, 0, 1);
  else
    kernels.multiply_to_float(a, packed, {result, stride}, 0, 1);
}

// A row-major matrix [rows, columns] as what is multiplied row by row, or column by column.
template <class T>
ProductOperand<T> by_row(const T* matrix, std::int64_t rows, std::int64_t columns,
                         std::int64_t stride) {
  return {matrix, rows, columns, stride, 1};
}
template <class T>
ProductOperand<T> by_column(const T* matrix, std::int64_t rows, std::int64_t columns,
                            std::int64_t stride) {
  return {matrix, columns, rows, 1, stride};
}

// Keys in a row of logits, filled up to whole vectors.
std::int64_t padded_keys(std::int64_t n) {
  constexpr std::int64_t vector = 16;
  return (n + vector - 1) / vector * vector;
}

float attention_scale(std::int64_t head_dim) {
  return 1.0f / std::sqrt(static_cast<float>(head_dim));
}

// Decomposed relative positions for one pass: tables in the type of the products, in the order of
// keys (the last entry first), and rows of what they give each query, filled up to whole vectors.
template <class T>
struct RelativeTables {
  std::int64_t rows = 0, columns = 0;
  at::Tensor h, w;  // [2*rows - 1, d], [2*columns - 1, d]

  RelativeTables(const DecomposedPositions& positions, const at::Tensor& like)
      : rows(positions.rows),
        columns(positions.columns),
        h(positions.h.flip(0).to(like.scalar_type())),
        w(positions.w.flip(0).to(like.scalar_type())) {
    SGMAE_ASSERT(rows * columns == like.size(1) && h.size(0) == 2 * rows - 1 &&
                 w.size(0) == 2 * columns - 1 && columns <= largest_relative_side);
  }

  std::int64_t h_stride() const { return padded_keys(2 * rows - 1); }
  std::int64_t w_stride() const { return padded_keys(2 * columns - 1); }
  std::int64_t row_values() const { return rows * columns * (h_stride() + w_stride()); }

  // logits += what belongs to queries q, unscaled as these are. `memory` is of row_values().
  void add_to(float* logits, std::int64_t padded, const ProductOperand<T>& q, float scale,
              float* memory) const {
    float* const by_w = memory + rows * columns * h_stride();
    multiply(q, by_row(data<T>(h), 2 * rows - 1, q.depth, q.depth), memory, h_stride());
    multiply(q, by_row(data<T>(w), 2 * columns - 1, q.depth, q.depth), by_w, w_stride());
    row_kernels<T>().add_relative(rows, columns, padded, 1 / scale, memory, h_stride(), by_w,
                                  w_stride(), logits);
  }
};

// A bias table for one pass: by head, in the order of keys (the last offset first), and divided by
// the scale with which logits are multiplied.
struct BiasTable {
  BiasRuns runs;
  std::int64_t offsets = 0;  // entries of a head without the class token's three
  at::Tensor by_head;        // [heads, offsets, and 3 with a class token]

  BiasTable(const PositionBias& bias, float scale)
      : runs{bias.rows, bias.columns, bias.class_tokens, 2 * bias.side.cols - 1},
        offsets((2 * bias.side.rows - 1) * (2 * bias.side.cols - 1)) {
    SGMAE_ASSERT(bias.rows <= bias.side.rows && bias.columns <= bias.side.cols &&
                 bias.table.size(0) == offsets + 3 * bias.class_tokens);
    by_head = in_order_of_keys(bias.table).t().div(scale).contiguous();
  }

  std::int64_t entries() const { return by_head.size(1); }
  std::int64_t centre() const { return offsets / 2; }

  // Its own inverse. table [entries, heads].
  at::Tensor in_order_of_keys(const at::Tensor& table) const {
    return at::cat(
        {table.narrow(0, 0, offsets).flip(0), table.narrow(0, offsets, table.size(0) - offsets)});
  }
  template <class T>
  void add_to(float* logits, std::int64_t padded, std::int64_t head) const {
    const float* const own = data<float>(by_head) + head * entries();
    row_kernels<T>().add_bias(runs, padded, own + centre(), own + offsets, logits);
  }
  // sums [heads, entries]
  template <class T>
  void sum(const T* dlogits, std::int64_t padded, std::int64_t head, float factor,
           float* sums) const {
    float* const own = sums + head * entries();
    row_kernels<T>().sum_bias(runs, padded, factor, dlogits, own + centre(), own + offsets);
  }
};

// `relative` and `bias` may be null.
template <class T>
void attention_forward(const at::Tensor& qkv, std::int64_t heads, float scale, Attended& result,
                       const RelativeTables<T>* relative = nullptr,
                       const BiasTable* bias = nullptr) {
  const std::int64_t batch = qkv.size(0), n = qkv.size(1), dim = qkv.size(3), d = dim / heads;
  const std::int64_t padded = padded_keys(n);
  const RowKernels<T>& kernels = row_kernels<T>();
  for_parts(batch * heads, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    const at::Tensor floats =
        at::empty({n * padded + n * d + n + (relative ? relative->row_values() : 0)}, at::kFloat);
    const at::Tensor typed = at::empty({n * padded}, qkv.options());
    float *logits = data<float>(floats), *out = logits + n * padded, *inverse_total = out + n * d;
    T* weights = data<T>(typed);
    for (std::int64_t job = begin; job < end; ++job) {
      const std::int64_t b = job / heads, h = job % heads;
      const T* q = data<T>(qkv) + b * n * 3 * dim + h * d;
      const T *k = q + dim, *v = k + dim;
      multiply(by_row(q, n, d, 3 * dim), by_row(k, n, d, 3 * dim), logits, padded);
      if (relative)
        relative->add_to(logits, padded, by_row(q, n, d, 3 * dim), scale, inverse_total + n);
      if (bias) bias->add_to<T>(logits, padded, h);
      kernels.softmax(n, padded, scale, logits, weights, inverse_total,
                      data<float>(result.log_sum_exp) + job * n);
      multiply(by_row<T>(weights, n, n, padded), by_column(v, n, d, 3 * dim), out, d);
      kernels.scale_rows(n, d, inverse_total, out, data<T>(result.out) + b * n * dim + h * d, dim);
    }
  });
}

// `relative` may be null; with it dh and dw [2*side - 1, d] += the tables' gradients. Likewise
// `bias`, with dtable [entries, heads].
template <class T>
void attention_backward(const at::Tensor& dout, const at::Tensor& qkv, const Attended& attended,
                        std::int64_t heads, float scale, at::Tensor& dqkv,
                        const RelativeTables<T>* relative = nullptr, at::Tensor* dh = nullptr,
                        at::Tensor* dw = nullptr, const BiasTable* bias = nullptr,
                        at::Tensor* dtable = nullptr) {
  const std::int64_t batch = qkv.size(0), n = qkv.size(1), dim = qkv.size(3), d = dim / heads;
  const std::int64_t padded = padded_keys(n);
  const RowKernels<T>& kernels = row_kernels<T>();
  const std::int64_t table_rows = relative ? 2 * relative->rows - 1 : 0;
  const std::int64_t table_columns = relative ? 2 * relative->columns - 1 : 0;
  const std::int64_t relative_values = relative ? relative->row_values() : 0;
  PartialSums h_sums(table_rows * d), w_sums(table_columns * d);
  PartialSums bias_sums(bias ? heads * bias->entries() : 0);
  for_parts(batch * heads, [&](std::int64_t part, std::int64_t begin, std::int64_t end) {
    const at::Tensor floats =
        at::empty({2 * n * padded + n +
                   (relative ? relative_values + 2 * n * d + (table_rows + table_columns) * d : 0)},
                  at::kFloat);
    const at::Tensor typed = at::empty({2 * n * padded + relative_values}, qkv.options());
    float *logits = data<float>(floats), *dweights = logits + n * padded;
    float* delta = dweights + n * padded;
    T *weights = data<T>(typed), *dlogits = weights + n * padded;
    for (std::int64_t job = begin; job < end; ++job) {
      const std::int64_t b = job / heads, h = job % heads;
      const T* q = data<T>(qkv) + b * n * 3 * dim + h * d;
      const T *k = q + dim, *v = k + dim, *g = data<T>(dout) + b * n * dim + h * d;
      T* dq = data<T>(dqkv) + b * n * 3 * dim + h * d;
      T *dk = dq + dim, *dv = dk + dim;
      multiply(by_row(q, n, d, 3 * dim), by_row(k, n, d, 3 * dim), logits, padded);
      if (relative) relative->add_to(logits, padded, by_row(q, n, d, 3 * dim), scale, delta + n);
      if (bias) bias->add_to<T>(logits, padded, h);
      multiply(by_row(g, n, d, dim), by_row(v, n, d, 3 * dim), dweights, padded);  // dP = g v^T
      // The sum of P dP over a query's keys is that of out g, for out = P v.
      kernels.row_products(n, d, g, data<T>(attended.out) + b * n * dim + h * d, dim, delta);
      kernels.softmax_backward(n, padded, scale, logits, dweights,
                               data<float>(attended.log_sum_exp) + job * n, delta, weights,
                               dlogits);
      if (bias) bias->sum<T>(dlogits, padded, h, 1 / scale, bias_sums.part(part));
      const auto P = by_column<T>(weights, n, n, padded), dS = by_column<T>(dlogits, n, n, padded);
      multiply(P, by_column(g, n, d, dim), dv, 3 * dim);       // dv = P^T g
      multiply(dS, by_column(q, n, d, 3 * dim), dk, 3 * dim);  // dk = dS^T q
      if (!relative) {
        multiply(by_row<T>(dlogits, n, n, padded), by_column(k, n, d, 3 * dim), dq,
                 3 * dim);  // dS k
        continue;
      }
      // dq also has what comes through the tables, for sums of dS over rows and columns.
      const std::int64_t h_stride = relative->h_stride(), w_stride = relative->w_stride();
      T *by_h = dlogits + n * padded, *by_w = by_h + n * h_stride;
      kernels.sum_relative(relative->rows, relative->columns, padded, 1 / scale, dlogits, by_h,
                           h_stride, by_w, w_stride);
      float *sum = delta + n + relative_values, *more = sum + n * d, *dtable = more + n * d;
      multiply(by_row<T>(dlogits, n, n, padded), by_column(k, n, d, 3 * dim), sum, d);
      const auto through = [&](const T* sums, std::int64_t stride, const at::Tensor& table,
                               float* own) {
        const std::int64_t entries = table.size(0);
        multiply(by_row<T>(sums, n, entries, stride), by_column(data<T>(table), entries, d, d),
                 more, d);
        for (std::int64_t i = 0; i < n * d; ++i) sum[i] += more[i];
        multiply(by_column<T>(sums, n, entries, stride), by_column(q, n, d, 3 * dim), dtable, d);
        for (std::int64_t i = 0; i < entries * d; ++i) own[i] += dtable[i];
      };
      through(by_h, h_stride, relative->h, h_sums.part(part));
      through(by_w, w_stride, relative->w, w_sums.part(part));
      kernels.from_float(n, d, sum, d, dq, 3 * dim);
    }
  });
  const auto add_flipped = [&](PartialSums& sums, at::Tensor& gradient) {
    at::Tensor flipped = at::zeros_like(gradient);
    sums.add_to(flipped);
    gradient.add_(flipped.flip(0));
  };
  if (relative) {
    add_flipped(h_sums, *dh);
    add_flipped(w_sums, *dw);
  }
  if (bias) {
    at::Tensor sums = at::zeros_like(bias->by_head);
    bias_sums.add_to(sums);
    dtable->add_(bias->in_order_of_keys(sums.t()));
  }
}

}  // namespace

void round_to(const at::Tensor& from, at::Tensor& to) {
  if (!from.is_cpu() || to.scalar_type() != at::kBFloat16) {
    to.copy_(from);
    return;
  }
  SGMAE_ASSERT(from.numel() == to.numel());
  for_parts(from.numel(), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    row_kernels<Bf16>().from_float(1, end - begin, data<float>(from) + begin, 0,
                                   data<Bf16>(to) + begin, 0);
  });
}

void bias_grad(const at::Tensor& dy, at::Tensor& grad) {
  if (!dy.is_cpu()) return aten::bias_grad(dy, grad);
  const std::int64_t dim = dy.size(-1), rows = dy.numel() / dim;
  PartialSums sums(dim);
  with_type(dy.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    for_parts(rows, [&](std::int64_t part, std::int64_t begin, std::int64_t end) {
      row_kernels<T>().column_sum(end - begin, dim, data<T>(dy) + begin * dim, sums.part(part));
    });
  });
  sums.add_to(grad);
}

Normed add_layer_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                      const at::Tensor& bias, double eps, at::ScalarType type) {
  if (!x.is_cpu()) return aten::add_layer_norm(x, delta, weight, bias, eps, type);
  const std::int64_t rows = x.size(0), dim = x.size(1);
  Normed out;
  out.sum = delta.defined() ? at::empty_like(x) : x;
  out.y = at::empty({rows, dim}, type);
  out.mean = at::empty({rows}, at::kFloat);
  out.rstd = at::empty({rows}, at::kFloat);
  with_type(type, [&](auto tag) {
    using T = decltype(tag);
    for_parts(rows, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
      const std::int64_t at = begin * dim;
      row_kernels<T>().add_layer_norm(
          end - begin, dim, data<float>(x) + at, delta.defined() ? data<T>(delta) + at : nullptr,
          data<float>(weight), data<float>(bias), static_cast<float>(eps),
          data<float>(out.sum) + at, data<T>(out.y) + at, data<float>(out.mean) + begin,
          data<float>(out.rstd) + begin);
    });
  });
  return out;
}

void layer_norm_backward(const at::Tensor& dy, const Normed& normed, const at::Tensor& weight,
                         at::Tensor& dx, at::Tensor& weight_grad, at::Tensor& bias_grad) {
  if (!dy.is_cpu())
    return aten::layer_norm_backward(dy, normed, weight, dx, weight_grad, bias_grad);
  const std::int64_t rows = dx.size(0), dim = dx.size(1);
  PartialSums weight_sums(dim), bias_sums(dim);
  with_type(dy.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    for_parts(rows, [&](std::int64_t part, std::int64_t begin, std::int64_t end) {
      const std::int64_t at = begin * dim;
      row_kernels<T>().layer_norm_backward(
          end - begin, dim, data<T>(dy) + at, data<float>(normed.sum) + at,
          data<float>(normed.mean) + begin, data<float>(normed.rstd) + begin, data<float>(weight),
          data<float>(dx) + at, weight_sums.part(part), bias_sums.part(part));
    });
  });
  weight_sums.add_to(weight_grad);
  bias_sums.add_to(bias_grad);
}

at::Tensor gelu(const at::Tensor& h) {
  if (!h.is_cpu()) return aten::gelu(h);
  at::Tensor a = at::empty_like(h);
  with_type(h.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    for_parts(h.numel(), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
      row_kernels<T>().gelu(end - begin, data<T>(h) + begin, data<T>(a) + begin);
    });
  });
  return a;
}

void gelu_backward(const at::Tensor& h, at::Tensor& d, at::Tensor& bias_grad) {
  if (!h.is_cpu()) return aten::gelu_backward(h, d, bias_grad);
  const std::int64_t dim = d.size(-1), rows = d.numel() / dim;
  PartialSums sums(dim);
  with_type(d.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    for_parts(rows, [&](std::int64_t part, std::int64_t begin, std::int64_t end) {
      row_kernels<T>().gelu_backward(end - begin, dim, data<T>(h) + begin * dim,
                                     data<T>(d) + begin * dim, sums.part(part));
    });
  });
  sums.add_to(bias_grad);
}

Attended attention(const at::Tensor& qkv, std::int64_t heads) {
  if (!has_products(qkv.device())) return aten::attention(qkv, heads);
  const std::int64_t batch = qkv.size(0), n = qkv.size(1), dim = qkv.size(3);
  Attended result{at::empty({batch, n, dim}, qkv.scalar_type()),
                  at::empty({batch, heads, n}, at::kFloat)};
  with_type(qkv.scalar_type(), [&](auto tag) {
    attention_forward<decltype(tag)>(qkv, heads, attention_scale(dim / heads), result);
  });
  return result;
}

at::Tensor attention_backward(const at::Tensor& dout, const at::Tensor& qkv,
                              const Attended& attended, std::int64_t heads) {
  if (!has_products(qkv.device())) return aten::attention_backward(dout, qkv, attended, heads);
  at::Tensor dqkv = at::empty_like(qkv);
  with_type(qkv.scalar_type(), [&](auto tag) {
    attention_backward<decltype(tag)>(dout, qkv, attended, heads,
                                      attention_scale(qkv.size(3) / heads), dqkv);
  });
  return dqkv;
}

Attended attention(const at::Tensor& qkv, std::int64_t heads,
                   const DecomposedPositions& positions) {
  const std::int64_t batch = qkv.size(0), n = qkv.size(1), dim = qkv.size(3);
  Attended result{at::empty({batch, n, dim}, qkv.scalar_type()),
                  at::empty({batch, heads, n}, at::kFloat)};
  with_type(qkv.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    const RelativeTables<T> relative(positions, qkv);
    attention_forward<T>(qkv, heads, attention_scale(dim / heads), result, &relative);
  });
  return result;
}

at::Tensor attention_backward(const at::Tensor& dout, const at::Tensor& qkv,
                              const Attended& attended, std::int64_t heads,
                              const DecomposedPositions& positions, at::Tensor& dh,
                              at::Tensor& dw) {
  at::Tensor dqkv = at::empty_like(qkv);
  with_type(qkv.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    const RelativeTables<T> relative(positions, qkv);
    attention_backward<T>(dout, qkv, attended, heads, attention_scale(qkv.size(3) / heads), dqkv,
                          &relative, &dh, &dw);
  });
  return dqkv;
}

Attended attention(const at::Tensor& qkv, std::int64_t heads, const PositionBias& bias) {
  const std::int64_t batch = qkv.size(0), n = qkv.size(1), dim = qkv.size(3);
  SGMAE_ASSERT(n == bias.class_tokens + bias.rows * bias.columns);
  const float scale = attention_scale(dim / heads);
  const BiasTable table(bias, scale);
  Attended result{at::empty({batch, n, dim}, qkv.scalar_type()),
                  at::empty({batch, heads, n}, at::kFloat)};
  with_type(qkv.scalar_type(), [&](auto tag) {
    attention_forward<decltype(tag)>(qkv, heads, scale, result, nullptr, &table);
  });
  return result;
}

at::Tensor attention_backward(const at::Tensor& dout, const at::Tensor& qkv,
                              const Attended& attended, std::int64_t heads,
                              const PositionBias& bias, at::Tensor& dtable) {
  const float scale = attention_scale(qkv.size(3) / heads);
  const BiasTable table(bias, scale);
  at::Tensor dqkv = at::empty_like(qkv);
  with_type(qkv.scalar_type(), [&](auto tag) {
    attention_backward<decltype(tag)>(dout, qkv, attended, heads, scale, dqkv, nullptr, nullptr,
                                      nullptr, &table, &dtable);
  });
  return dqkv;
}

at::Tensor attention_weights(const at::Tensor& qkv, std::int64_t heads) {
  const std::int64_t batch = qkv.size(0), n = qkv.size(1), dim = qkv.size(3), d = dim / heads;
  at::Tensor weights = at::empty({batch, heads, n, n}, qkv.options().dtype(at::kFloat));
  for (std::int64_t b = 0; b < batch; ++b) {  // in place, while an image's weights are in the cache
    const auto split = [&](std::int64_t part) {
      return qkv[b].select(1, part).to(at::kFloat).view({n, heads, d}).transpose(0, 1);
    };
    at::Tensor image = weights[b];
    at::bmm_out(image, split(0), split(1).transpose(1, 2));
    image.div_(std::sqrt(static_cast<double>(d)));
    at::softmax_out(image, image, -1);
  }
  return weights;
}

void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, -1);
}

void release_freed_memory() {
  malloc_trim(0);
}

}  // namespace sgmae
