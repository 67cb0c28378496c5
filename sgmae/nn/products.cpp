#include "sgmae/nn/products.h"

#include <ATen/Parallel.h>
#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>

#include <optional>
#include <string_view>

#include "sgmae/base/error.h"
#include "sgmae/base/instruction_set.h"
#include "sgmae/nn/kernels/aten.h"
#include "sgmae/nn/kernels/cpu.h"
#include "sgmae/nn/kernels/tiles.h"

// The BLAS inside LibTorch, for bf16 operands and fp32 result; only the x86 LibTorch brings it.
extern "C" __attribute__((weak)) void cblas_gemm_bf16bf16f32(int layout, int trans_a, int trans_b,
                                                             int m, int n, int k, float alpha,
                                                             const void* a, int lda, const void* b,
                                                             int ldb, float beta, float* c,
                                                             int ldc);

namespace sgmae {
namespace {

// body(share, shares) on every thread.
template <class Body>
void for_shares(Body body) {
  const std::int64_t shares = at::get_num_threads();
  at::parallel_for(0, shares, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t share = begin; share < end; ++share) body(share, shares);
  });
}

// matrix [lines, depth] of T, of which either is contiguous.
template <class T>
ProductOperand<T> operand(const at::Tensor& matrix) {
  return {static_cast<const T*>(matrix.data_ptr()), matrix.size(0), matrix.size(1),
          matrix.stride(0), matrix.stride(1)};
}

// result [m, n] (+)= a [m, depth] b [n, depth]^T (+ bias [n] fp32). b may be fp32 for a of bf16.
void multiply(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias, bool add,
              at::Tensor& result) {
  SGMAE_ASSERT(a.size(1) == b.size(1) && result.size(0) == a.size(0) &&
               result.size(1) == b.size(0));
  const TileKernels& kernels = *tile_kernels();
  const int pieces = a.scalar_type() == at::kBFloat16 ? 1 : 3;
  const std::int64_t bytes = packed_bytes(b.size(0), b.size(1), pieces);
  thread_local at::Tensor memory;  // kept: what was just used is still in the caches
  if (!memory.defined() || memory.numel() < bytes) memory = at::empty({bytes}, at::kByte);
  const PackedOperand packed{static_cast<char*>(memory.data_ptr()), b.size(0), b.size(1), pieces};
  for_shares([&](std::int64_t share, std::int64_t shares) {
    if (b.scalar_type() == at::kBFloat16)
      kernels.pack_bf16(operand<Bf16>(b), packed, share, shares);
    else
      kernels.pack_float(operand<float>(b), packed, share, shares);
  });
  const auto to = [&](auto tag) {
    return ProductResult<decltype(tag)>{static_cast<decltype(tag)*>(result.data_ptr()),
                                        result.size(1),
                                        bias.defined() ? bias.data_ptr<float>() : nullptr, add};
  };
  for_shares([&](std::int64_t share, std::int64_t shares) {
    if (a.scalar_type() == at::kFloat)
      kernels.multiply_float(operand<float>(a), packed, to(float{}), share, shares);
    else if (result.scalar_type() == at::kFloat)
      kernels.multiply_bf16_to_float(operand<Bf16>(a), packed, to(float{}), share, shares);
    else
      kernels.multiply_bf16(operand<Bf16>(a), packed, to(Bf16{}), share, shares);
  });
}

bool use_tiles(at::Device device) {
  return device.is_cpu() && tile_kernels();
}

}  // namespace

bool products_round_weights(at::Device device) {
  return use_tiles(device);
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& b) {
  if (use_tiles(x.device())) {
    at::Tensor y = at::empty({x.size(0), w.size(0)}, x.scalar_type());
    multiply(x, w, b.to(at::kFloat), /*add=*/false, y);
    return y;
  }
  // at::linear first writes the bias into the result and then reads it back. The operator that
  // LibTorch's compiler uses adds it within the product; it is not in the public headers, and
  // fails on processors without bf16.
  using Pointwise = at::Tensor(
      const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, std::string_view,
      c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);
  static const auto with_bias =
      instruction_set() >= InstructionSet::avx512_bf16
          ? c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""})
          : std::nullopt;
  if (!x.is_cpu() || x.scalar_type() != at::kBFloat16 || !with_bias) return at::linear(x, w, b);
  return with_bias->typed<Pointwise>().call(x, w, b, "none", c10::List<std::optional<at::Scalar>>(),
                                            std::nullopt);
}

at::Tensor linear_input_grad(const at::Tensor& dy, const at::Tensor& w) {
  if (!use_tiles(dy.device())) return at::mm(dy, w);
  at::Tensor dx = at::empty({dy.size(0), w.size(1)}, dy.scalar_type());
  multiply(dy, w.t(), {}, /*add=*/false, dx);
  return dx;
}

void linear_weight_grad(const at::Tensor& dy, const at::Tensor& x, at::Tensor& weight_grad) {
  if (!dy.is_cpu()) return aten::linear_weight_grad(dy, x, weight_grad);
  // For narrow layers in bf16 packing costs more than the faster product saves (measured).
  constexpr std::int64_t narrow = 400;
  const bool use_blas =
      dy.scalar_type() == at::kBFloat16 && x.size(1) < narrow && cblas_gemm_bf16bf16f32;
  if (use_tiles(dy.device()) && !use_blas) {
    multiply(dy.t(), x.t(), {}, /*add=*/true, weight_grad);
  } else if (dy.scalar_type() == at::kFloat) {
    weight_grad.addmm_(dy.t(), x);
  } else if (cblas_gemm_bf16bf16f32) {
    // Sums in fp32 right where they belong; LibTorch's own product would round them to bf16 first.
    constexpr int row_major = 101, as_it_is = 111, transposed = 112;
    const int m = static_cast<int>(dy.size(0)), n = static_cast<int>(dy.size(1)),
              k = static_cast<int>(x.size(1));
    cblas_gemm_bf16bf16f32(row_major, transposed, as_it_is, n, k, m, 1, dy.data_ptr(), n,
                           x.data_ptr(), k, 1, weight_grad.data_ptr<float>(), k);
  } else {
    weight_grad.add_(at::mm(dy.t(), x));
  }
}

}  // namespace sgmae
