#include "sgmae/nn/ops.h"

#include <malloc.h>

#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/instruction_set.h"
#include "sgmae/nn/kernels/aten.h"
#include "sgmae/nn/kernels/cpu.h"
#include "sgmae/nn/kernels/tiles.h"

// Matrix product of the BLAS inside LibTorch, column-major.
extern "C" void sgemm_(const char* trans_a, const char* trans_b, const int* m, const int* n,
                       const int* k, const float* alpha, const float* a, const int* lda,
                       const float* b, const int* ldb, const float* beta, float* c, const int* ldc);

namespace sgmae {
namespace {

// Calls body(T{}) with the kernels' type for activations of `type`.
template <class Body>
void with_type(at::ScalarType type, Body body) {
  if (type == at::kFloat) return body(float{});
  SGMAE_ASSERT(type == at::kBFloat16);
  body(Bf16{});
}

template <class T>
T* data(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<T*>(tensor.data_ptr()) : nullptr;
}

// Splits rows over threads: body(part, begin, end). The split depends only on the number of
// threads, so that sums over parts come out the same every time.
template <class Body>
void for_parts(std::int64_t rows, Body body) {
  const std::int64_t parts = std::min<std::int64_t>(at::get_num_threads(), rows);
  at::parallel_for(0, parts, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t part = first; part < last; ++part)
      body(part, rows * part / parts, rows * (part + 1) / parts);
  });
}

// Column sums gathered by several threads: one row per part, added up in order at the end.
class PartialSums {
 public:
  explicit PartialSums(std::int64_t dim)
      : dim_(dim), sums_(static_cast<std::size_t>(dim * at::get_num_threads()), 0.0f) {}
  float* part(std::int64_t part) { return sums_.data() + part * dim_; }
  void add_to(at::Tensor& grad) {
    float* out = data<float>(grad);
    for (std::size_t i = 0; i < sums_.size(); ++i) out[i % dim_] += sums_[i];
  }

 private:
  std::int64_t dim_;
  std::vector<float> sums_;
};

// Row-major c [m, n] = op(a) op(b). Its last bits depend on where operands lie within a cache line,
// so scratch memory for them is a tensor, which begins with one. a is [m, k] (or [k, m] when `ta`),
// b [k, n] (or [n, k] when `tb`).
void multiply(bool ta, bool tb, int m, int n, int k, const float* a, const float* b, float* c) {
  const float one = 1, zero = 0;
  const int lda = ta ? m : k, ldb = tb ? k : n;
  sgemm_(tb ? "T" : "N", ta ? "T" : "N", &n, &m, &k, &one, b, &ldb, a, &lda, &zero, c, &n);
}

// Whether attention over n tokens with heads of width d goes through the processor's bf16 units
// (AMX or AVX512-BF16). For smaller ones packing the operands costs more than it saves (measured).
bool has_bf16_attention(std::int64_t n, std::int64_t d) {
  const std::int64_t smallest = tile_kernels() ? 3000 : 1000;
  return instruction_set() >= InstructionSet::avx512_bf16 && d % 2 == 0 && n * d >= smallest;
}

// c [m, n] float = a [m, k] b; a has row stride lda, b is packed in pairs [k/2, n, 2].
void multiply_packed(std::int64_t m, std::int64_t n, std::int64_t k, const Bf16* a,
                     std::int64_t lda, const Bf16* b, float* c) {
  at::native::cpublas::brgemm(m, n, k, lda, n, n, false, reinterpret_cast<const at::BFloat16*>(a),
                              reinterpret_cast<const at::BFloat16*>(b), c);
}

// The tile unit's products want whole tiles: with 198 columns in place of 224 they take ten times
// as long. Others want whole vectors.
std::int64_t padded_tokens(std::int64_t n) {
  const std::int64_t whole = tile_kernels() ? 32 : 16;
  return (n + whole - 1) / whole * whole;
}

void attention_bf16(const at::Tensor& qkv, std::int64_t heads, float scale, Attended& result) {
  const std::int64_t batch = qkv.size(0), n = qkv.size(1), dim = qkv.size(3), d = dim / heads;
  const std::int64_t padded = padded_tokens(n);
  const CpuKernels& kernels = cpu_kernels();
  for_parts(batch * heads, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    std::vector<float> scratch(n * padded + n * d + n);
    std::vector<Bf16> packed(2 * padded * d + n * padded);  // zeros, which padding stays
    float *logits = scratch.data(), *out = logits + n * padded, *inverse_total = out + n * d;
    Bf16 *k = packed.data(), *v = k + padded * d, *weights = v + padded * d;
    for (std::int64_t job = begin; job < end; ++job) {
      const std::int64_t b = job / heads, h = job % heads;
      const Bf16* base = data<Bf16>(qkv) + b * n * 3 * dim + h * d;
      kernels.pack_transposed(n, d, padded, base + dim, 3 * dim, k);
      kernels.pack_pairs(n, d, base + 2 * dim, 3 * dim, v);
      multiply_packed(n, padded, d, base, 3 * dim, k, logits);
      kernels.softmax_bf16(n, padded, scale, logits, weights, inverse_total,
                           data<float>(result.log_sum_exp) + job * n);
      multiply_packed(n, d, padded, weights, padded, v, out);
      kernels.scale_rows(n, d, inverse_total, out, data<Bf16>(result.out) + b * n * dim + h * d,
                         dim);
    }
    at::native::cpublas::brgemm_release();
  });
}

// Works on the transposes of logits and weights (row: key, column: query), so that most operands of
// the products are what already lies in memory.
void attention_backward_bf16(const at::Tensor& dout, const at::Tensor& qkv,
                             const Attended& attended, std::int64_t heads, float scale,
                             at::Tensor& dqkv) {
  const std::int64_t batch = qkv.size(0), n = qkv.size(1), dim = qkv.size(3), d = dim / heads;
  const std::int64_t padded = padded_tokens(n), size = padded * d, square = padded * padded;
  const CpuKernels& kernels = cpu_kernels();
  for_parts(batch * heads, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    std::vector<float> scratch(2 * square + size + 2 * padded);
    std::vector<Bf16> packed(5 * size + 2 * square);  // zeros, which padding stays
    std::vector<std::uint32_t> dlogit_pairs(square / 2);
    float *logits = scratch.data(), *dweights = logits + square, *out = dweights + square;
    float *delta = out + size, *shift = delta + padded;
    Bf16 *q_columns = packed.data(), *g_columns = q_columns + size, *q_rows = g_columns + size;
    Bf16 *g_rows = q_rows + size, *k = g_rows + size;
    Bf16 *weights = k + size, *dlogits = weights + square;
    std::fill(shift + n, shift + padded, HUGE_VALF);  // the weights of padding are e^-infinity
    for (std::int64_t job = begin; job < end; ++job) {
      const std::int64_t b = job / heads, h = job % heads;
      const Bf16* base = data<Bf16>(qkv) + b * n * 3 * dim + h * d;
      const Bf16* g = data<Bf16>(dout) + b * n * dim + h * d;
      Bf16* dbase = data<Bf16>(dqkv) + b * n * 3 * dim + h * d;
      kernels.pack_transposed(n, d, padded, base, 3 * dim, q_columns);
      kernels.pack_transposed(n, d, padded, g, dim, g_columns);
      kernels.pack_pairs(n, d, base, 3 * dim, q_rows);
      kernels.pack_pairs(n, d, g, dim, g_rows);
      kernels.transpose(n, d, padded, base + dim, 3 * dim, k);
      multiply_packed(n, padded, d, base + dim, 3 * dim, q_columns, logits);
      multiply_packed(n, padded, d, base + 2 * dim, 3 * dim, g_columns, dweights);  // dP = g v^T
      // The sum of P dP over a query's keys is that of out g, for out = P v.
      kernels.row_products(n, d, g, data<Bf16>(attended.out) + b * n * dim + h * d, dim, delta);
      std::copy_n(data<float>(attended.log_sum_exp) + job * n, n, shift);
      kernels.softmax_backward_bf16(n, padded, scale, logits, dweights, shift, delta, weights,
                                    dlogits, dlogit_pairs.data());
      multiply_packed(padded, d, padded, weights, padded, g_rows, out);  // dv = P^T g
      kernels.bf16.from_float(n, d, out, d, dbase + 2 * dim, 3 * dim);
      multiply_packed(padded, d, padded, dlogits, padded, q_rows, out);  // dk = dS^T q
      kernels.bf16.from_float(n, d, out, d, dbase + dim, 3 * dim);
      multiply_packed(d, padded, padded, k, padded,
                      reinterpret_cast<const Bf16*>(dlogit_pairs.data()), out);  // dq^T = k^T dS^T
      kernels.transpose_back(n, d, padded, out, dbase, 3 * dim);
    }
    at::native::cpublas::brgemm_release();
  });
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
  if (!qkv.is_cpu()) return aten::attention(qkv, heads);
  const std::int64_t batch = qkv.size(0), n = qkv.size(1), dim = qkv.size(3), d = dim / heads;
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  Attended result{at::empty({batch, n, dim}, qkv.scalar_type()),
                  at::empty({batch, heads, n}, at::kFloat)};
  if (qkv.scalar_type() == at::kBFloat16 && has_bf16_attention(n, d)) {
    attention_bf16(qkv, heads, scale, result);
    return result;
  }
  with_type(qkv.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    const auto& rows = row_kernels<T>();
    const CpuKernels& kernels = cpu_kernels();
    for_parts(batch * heads, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
      const at::Tensor scratch = at::empty({3 * n * d + n * n}, at::kFloat);
      float *q = data<float>(scratch), *k = q + n * d, *v = k + n * d, *weights = v + n * d;
      for (std::int64_t job = begin; job < end; ++job) {
        const std::int64_t b = job / heads, h = job % heads;
        const T* base = data<T>(qkv) + b * n * 3 * dim + h * d;
        rows.to_float(n, d, base, 3 * dim, scale, q, d);
        rows.to_float(n, d, base + dim, 3 * dim, 1.0f, k, d);
        rows.to_float(n, d, base + 2 * dim, 3 * dim, 1.0f, v, d);
        multiply(false, true, n, n, d, q, k, weights);
        kernels.softmax(n, n, weights, data<float>(result.log_sum_exp) + job * n);
        multiply(false, false, n, d, n, weights, v, q);
        rows.from_float(n, d, q, d, data<T>(result.out) + b * n * dim + h * d, dim);
      }
    });
  });
  return result;
}

at::Tensor attention_backward(const at::Tensor& dout, const at::Tensor& qkv,
                              const Attended& attended, std::int64_t heads) {
  if (!qkv.is_cpu()) return aten::attention_backward(dout, qkv, attended, heads);
  const std::int64_t batch = qkv.size(0), n = qkv.size(1), dim = qkv.size(3), d = dim / heads;
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  at::Tensor dqkv = at::empty_like(qkv);
  if (qkv.scalar_type() == at::kBFloat16 && has_bf16_attention(n, d)) {
    attention_backward_bf16(dout, qkv, attended, heads, scale, dqkv);
    return dqkv;
  }
  with_type(qkv.scalar_type(), [&](auto tag) {
    using T = decltype(tag);
    const auto& rows = row_kernels<T>();
    const CpuKernels& kernels = cpu_kernels();
    for_parts(batch * heads, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
      const at::Tensor scratch = at::empty({5 * n * d + 2 * n * n}, at::kFloat);
      float *q = data<float>(scratch), *k = q + n * d, *v = k + n * d, *g = v + n * d,
            *out = g + n * d;
      float *weights = out + n * d, *dweights = weights + n * n;
      for (std::int64_t job = begin; job < end; ++job) {
        const std::int64_t b = job / heads, h = job % heads;
        const T* base = data<T>(qkv) + b * n * 3 * dim + h * d;
        T* dbase = data<T>(dqkv) + b * n * 3 * dim + h * d;
        rows.to_float(n, d, base, 3 * dim, scale, q, d);
        rows.to_float(n, d, base + dim, 3 * dim, 1.0f, k, d);
        rows.to_float(n, d, base + 2 * dim, 3 * dim, 1.0f, v, d);
        rows.to_float(n, d, data<T>(dout) + b * n * dim + h * d, dim, 1.0f, g, d);
        multiply(false, true, n, n, d, q, k, weights);
        kernels.softmax_again(n, n, weights, data<float>(attended.log_sum_exp) + job * n);
        multiply(true, false, n, d, n, weights, g, out);  // dv = P^T dout
        rows.from_float(n, d, out, d, dbase + 2 * dim, 3 * dim);
        multiply(false, true, n, n, d, g, v, dweights);  // dP = dout v^T
        kernels.softmax_backward(n, n, weights, dweights);
        multiply(true, false, n, d, n, dweights, q, out);  // dk = dS^T (scale q)
        rows.from_float(n, d, out, d, dbase + dim, 3 * dim);
        multiply(false, false, n, d, n, dweights, k, out);  // dq = scale dS k
        for (std::int64_t i = 0; i < n * d; ++i) out[i] *= scale;
        rows.from_float(n, d, out, d, dbase, 3 * dim);
      }
    });
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

}  // namespace sgmae
