#include "sgmae/nn/products.h"

#include <ATen/Parallel.h>
#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/native/CPUBlas.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>

#include <algorithm>
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

// [begin, end) of the rows or columns of a matrix.
struct Range {
  std::int64_t begin, end;
  std::int64_t size() const { return end - begin; }
};

std::int64_t count_of(std::int64_t size, std::int64_t block) {
  return (size + block - 1) / block;
}

// What the `part`-th of `parts` threads does of `size`: whole blocks.
Range part_of(std::int64_t size, std::int64_t block, std::int64_t part, std::int64_t parts) {
  const std::int64_t blocks = count_of(size, block);
  return {std::min(size, blocks * part / parts * block),
          std::min(size, blocks * (part + 1) / parts * block)};
}

// weight_grad [N, K] fp32 += dy [M, N]^T x [M, K], both bf16, through oneDNN's products of blocks.
// Each thread makes a rectangle of the result, alone, from what it packs itself: a stretch of rows
// at a time, x in panels of columns with pairs of rows interleaved, dy transposed. Neither blocks
// nor stretches depend on the number of threads, so the result does not either.
class WeightGradBlocks {
 public:
  WeightGradBlocks(const at::Tensor& dy, const at::Tensor& x, at::Tensor& weight_grad)
      : dy_(static_cast<const Bf16*>(dy.data_ptr())),
        x_(static_cast<const Bf16*>(x.data_ptr())),
        weight_grad_(weight_grad.data_ptr<float>()),
        m_(x.size(0)),
        n_(dy.size(1)),
        k_(x.size(1)),
        stretch_(std::max(whole_, scratch_ / (n_ + k_) / whole_ * whole_)) {}

  void add() const {
    for_shares([&](std::int64_t share, std::int64_t shares) {
      const std::int64_t down = threads_down(shares);
      add_part(part_of(n_, block_n_, share % down, down),
               part_of(k_, block_k_, share / down, shares / down));
    });
  }

 private:
  // Measured on an AMD Zen 5.
  static constexpr std::int64_t block_n_ = 96, block_k_ = 64;
  static constexpr std::int64_t scratch_ = 1 << 20;  // values
  // Stretches are filled up to these with zeros, so that few different products are compiled.
  static constexpr std::int64_t whole_ = 32;

  static std::int64_t filled(std::int64_t rows) { return count_of(rows, whole_) * whole_; }
  // Of the transposed dy; not a power of two, whose multiples share a few lines of the cache.
  std::int64_t stride() const { return stretch_ + whole_; }

  // Into how many parts N is split, and K into threads / that: what takes the busiest thread least.
  std::int64_t threads_down(std::int64_t threads) const {
    constexpr std::int64_t packing = 12;  // one value, in multiplications (measured)
    const auto cost = [&](std::int64_t down) {
      const std::int64_t n = std::min(n_, count_of(count_of(n_, block_n_), down) * block_n_);
      const std::int64_t k =
          std::min(k_, count_of(count_of(k_, block_k_), threads / down) * block_k_);
      return n * k + packing * (n + k);
    };
    std::int64_t best = 1;
    for (std::int64_t down = 2; down <= threads; ++down)
      if (threads % down == 0 && cost(down) < cost(best)) best = down;
    return best;
  }

  void add_part(Range n, Range k) const {
    if (n.size() == 0 || k.size() == 0) return;
    thread_local at::Tensor memory;  // kept: what was just used is still in the caches
    const std::int64_t size = stretch_ * k.size() + stride() * n.size();
    if (!memory.defined() || memory.numel() < size) memory = at::empty({size}, at::kBFloat16);
    Bf16* x = static_cast<Bf16*>(memory.data_ptr());  // [panel, stretch / 2, block_k, 2]
    Bf16* dy = x + stretch_ * k.size();               // [n, stride]
    for (std::int64_t begin = 0; begin < m_; begin += stretch_) {
      const Range rows{begin, std::min(m_, begin + stretch_)};
      pack_x(rows, k, x);
      pack_dy(rows, n, dy);
      multiply(filled(rows.size()), n, k, x, dy);
    }
    at::native::cpublas::brgemm_release();
  }

  void pack_x(Range rows, Range k, Bf16* to) const {
    for (std::int64_t i = k.begin; i < k.end; i += block_k_) {
      const std::int64_t width = std::min(block_k_, k.end - i);
      Bf16* panel = to + (i - k.begin) * stretch_;
      std::fill(panel + rows.size() / 2 * 2 * width, panel + filled(rows.size()) * width, Bf16{});
      cpu_kernels().pack_pairs(rows.size(), width, x_ + rows.begin * k_ + i, k_, panel);
    }
  }

  void pack_dy(Range rows, Range n, Bf16* to) const {
    cpu_kernels().transpose(rows.size(), n.size(), stride(), dy_ + rows.begin * n_ + n.begin, n_,
                            to);
    for (std::int64_t i = 0; i < n.size(); ++i)
      std::fill(to + i * stride() + rows.size(), to + i * stride() + filled(rows.size()), Bf16{});
  }

  void multiply(std::int64_t depth, Range n, Range k, const Bf16* x, const Bf16* dy) const {
    for (std::int64_t j = k.begin; j < k.end; j += block_k_)
      for (std::int64_t i = n.begin; i < n.end; i += block_n_) {
        const std::int64_t width = std::min(block_k_, k.end - j);
        at::native::cpublas::brgemm(
            std::min(block_n_, n.end - i), width, depth, stride(), width, k_, /*add_C=*/true,
            reinterpret_cast<const at::BFloat16*>(dy + (i - n.begin) * stride()),
            reinterpret_cast<const at::BFloat16*>(x + (j - k.begin) * stretch_),
            weight_grad_ + i * k_ + j);
      }
  }

  const Bf16 *dy_, *x_;
  float* weight_grad_;
  std::int64_t m_, n_, k_;
  std::int64_t stretch_;  // rows packed at a time
};

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
  } else if (instruction_set() == InstructionSet::avx512_bf16) {
    // The BLAS below reaches a quarter of this on an AMD Zen 5 (measured).
    WeightGradBlocks(dy, x, weight_grad).add();
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
