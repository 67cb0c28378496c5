#include "sgmae/nn/products.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>

#include <algorithm>

#include "sgmae/base/error.h"
#include "sgmae/nn/kernels/aten.h"
#include "sgmae/nn/kernels/product.h"
#include "sgmae/nn/share_out.h"

namespace sgmae {
namespace {

// matrix [lines, depth] of T, of which either is contiguous.
template <class T>
ProductOperand<T> operand(const at::Tensor& matrix) {
  return {static_cast<const T*>(matrix.data_ptr()), matrix.size(0), matrix.size(1),
          matrix.stride(0), matrix.stride(1)};
}

// result [m, n] (+)= a [m, depth] b [n, depth]^T (+ bias [n] fp32), a of T; b may be fp32.
template <class T>
void typed_multiply(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias, bool add,
                    at::Tensor& result) {
  const TypedProductKernels<T>& kernels = typed_products<T>();
  SGMAE_ASSERT(a.size(1) == b.size(1) && result.size(0) == a.size(0) &&
               result.size(1) == b.size(0));
  const PackedOperand packed{packing_memory(kernels.packed_bytes(b.size(0), b.size(1))), b.size(0),
                             b.size(1)};
  const std::int64_t shares = most_parts();
  share_out(shares, [&](std::int64_t share) {
    if (b.scalar_type() == at::kFloat)
      kernels.pack_float(operand<float>(b), packed, share, shares);
    else
      kernels.pack(operand<T>(b), packed, share, shares);
  });
  const auto to = [&](auto tag) {
    return ProductResult<decltype(tag)>{static_cast<decltype(tag)*>(result.data_ptr()),
                                        result.size(1),
                                        bias.defined() ? bias.data_ptr<float>() : nullptr, add};
  };
  const std::int64_t threads = at::get_num_threads();
  share_out(kernels.pieces(operand<T>(a), b.size(0), threads), [&](std::int64_t piece) {
    if (result.scalar_type() == at::kFloat)
      kernels.multiply_to_float(operand<T>(a), packed, to(float{}), piece, threads);
    else
      kernels.multiply(operand<T>(a), packed, to(T{}), piece, threads);
  });
}

void multiply(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias, bool add,
              at::Tensor& result) {
  if (result.numel() == 0) return;
  if (a.size(1) == 0) {  // of a batch in which nothing is to be learned, say
    if (!add) bias.defined() ? result.copy_(bias) : result.zero_();
    return;
  }
  if (a.scalar_type() == at::kFloat)
    typed_multiply<float>(a, b, bias, add, result);
  else
    typed_multiply<Bf16>(a, b, bias, add, result);
}

}  // namespace

bool has_products(at::Device device) {
  return device.is_cpu() && product_kernels();
}

char* packing_memory(std::int64_t bytes) {
  thread_local at::Tensor memory;
  if (!memory.defined() || memory.numel() < bytes) memory = at::empty({bytes}, at::kByte);
  return static_cast<char*>(memory.data_ptr());
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& b, at::Tensor y) {
  if (!has_products(x.device()))
    return y.defined() ? at::linear_out(y, x, w, b) : at::linear(x, w, b);
  if (!y.defined()) y = at::empty({x.size(0), w.size(0)}, x.scalar_type());
  multiply(x, w, b.to(at::kFloat), /*add=*/false, y);
  return y;
}

at::Tensor linear_input_grad(const at::Tensor& dy, const at::Tensor& w) {
  if (!has_products(dy.device())) return at::mm(dy, w);
  at::Tensor dx = at::empty({dy.size(0), w.size(1)}, dy.scalar_type());
  multiply(dy, w.t(), {}, /*add=*/false, dx);
  return dx;
}

void linear_weight_grad(const at::Tensor& dy, const at::Tensor& x, at::Tensor& weight_grad,
                        bool zeros) {
  if (!has_products(dy.device())) return aten::linear_weight_grad(dy, x, weight_grad);
  // Some rows at a time, all about as many, so that what is packed of them stays in the caches
  // (measured: a training step is 3 to 7 % faster).
  constexpr std::int64_t most_bytes = 3072;  // of a column
  const std::int64_t rows = x.size(0), most = most_bytes / x.element_size();
  const std::int64_t parts = std::max<std::int64_t>(1, (rows + most - 1) / most);
  for (std::int64_t i = 0; i < parts; ++i) {
    const std::int64_t begin = rows * i / parts, count = rows * (i + 1) / parts - begin;
    multiply(dy.narrow(0, begin, count).t(), x.narrow(0, begin, count).t(), {},
             /*add=*/!zeros || i > 0, weight_grad);
  }
}

}  // namespace sgmae
