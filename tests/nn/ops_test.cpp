// Oracle: the same operation written with ATen's elementary operations in fp64.
#include "sgmae/nn/ops.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/erf.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <utility>
#include <vector>

#include "sgmae/nn/kernels/cpu.h"
#include "tests/support/tensors.h"

namespace sgmae {
namespace {

struct Case {
  std::int64_t tokens, dim, heads;
  at::ScalarType type;
  double tolerance;
  double spread = 1;  // of queries, keys and values; 4: a few weights near one, most near zero
};

class AttentionTest : public testing::TestWithParam<Case> {};

// Odd and even token counts, small heads and heads large enough for the processor's bf16 units.
// bf16 rounds inputs, weights and outputs to 8 bits: 2^-9 each, a few of them.
TEST_P(AttentionTest, ForwardAndBackwardEqualTheDefinition) {
  const auto [n, dim, heads, type, tolerance, spread] = GetParam();
  const std::int64_t batch = 3, d = dim / heads;
  const at::Tensor qkv = at::randn({batch, n, 3, dim}).mul(spread).to(type);
  const at::Tensor dout = at::randn({batch, n, dim}).to(type);
  const auto split = [&](const at::Tensor& x) {
    return x.to(at::kDouble).view({batch, n, heads, d}).transpose(1, 2);
  };
  const auto join = [&](const at::Tensor& x) { return x.transpose(1, 2).reshape({batch, n, dim}); };
  const double scale = 1 / std::sqrt(static_cast<double>(d));
  const at::Tensor q = split(qkv.select(2, 0)), k = split(qkv.select(2, 1)),
                   v = split(qkv.select(2, 2));
  const at::Tensor p = at::softmax(at::matmul(q, k.transpose(2, 3)).mul(scale), -1);
  const at::Tensor g = split(dout);
  const at::Tensor dp = at::matmul(g, v.transpose(2, 3));
  const at::Tensor ds = p.mul(dp.sub(p.mul(dp).sum(-1, true)));
  const at::Tensor exact_grad = at::stack(
      {join(at::matmul(ds, k).mul(scale)), join(at::matmul(ds.transpose(2, 3), q).mul(scale)),
       join(at::matmul(p.transpose(2, 3), g))},
      2);

  const Attended attended = attention(qkv, heads);
  EXPECT_LT(relative_error(attended.out, join(at::matmul(p, v))), tolerance);
  EXPECT_LT(relative_error(attention_backward(dout, qkv, attended, heads), exact_grad), tolerance);
  EXPECT_LT(relative_error(attention_weights(qkv, heads), p), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, AttentionTest,
    testing::Values(Case{17, 32, 4, at::kFloat, 1e-5}, Case{65, 192, 3, at::kFloat, 1e-5},
                    Case{17, 32, 4, at::kBFloat16, 0.01}, Case{65, 192, 3, at::kBFloat16, 0.01},
                    Case{17, 192, 3, at::kBFloat16, 0.01}, Case{65, 128, 4, at::kBFloat16, 0.01},
                    Case{66, 72, 2, at::kBFloat16, 0.01}, Case{66, 128, 2, at::kBFloat16, 0.01},
                    Case{197, 64, 2, at::kBFloat16, 0.01}, Case{65, 192, 3, at::kFloat, 1e-5, 4},
                    Case{65, 192, 3, at::kBFloat16, 0.02, 4}, Case{1, 64, 1, at::kFloat, 1e-5}));

// Oracle: LibTorch's own rounding, bit for bit.
TEST(RoundTo, NearestEven) {
  at::Tensor from = at::randn({77, 1001});
  from[0][0] = 1.0f + 1.0f / 256;  // ties: down to even,
  from[0][1] = 1.0f + 3.0f / 256;  // up to even
  from[0][2] = std::numeric_limits<float>::infinity();
  from[0][3] = -std::numeric_limits<float>::max();
  from[0][4] = 1e-40f;
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    at::Tensor to = at::zeros({77, 1001}, type);
    round_to(from, to);
    EXPECT_TRUE(at::equal(to, from.to(type)));
  }
}

// 1e-6: the error function is good to 1.5e-7 absolute.
TEST(Gelu, ForwardAndBackwardEqualTheDefinition) {
  const at::Tensor h = at::randn({40, 33}).mul(3);
  const at::Tensor x = h.to(at::kDouble);
  const at::Tensor cdf = at::erf(x.mul(std::numbers::sqrt2 / 2)).add(1).mul(0.5);
  const at::Tensor slope =
      cdf.add(x.mul(at::exp(x.mul(x).mul(-0.5))).mul(1 / std::sqrt(2 * std::numbers::pi)));
  EXPECT_LT(relative_error(gelu(h), x.mul(cdf)), 1e-6);
  at::Tensor d = at::randn({40, 33}), sums = at::zeros({33});
  const at::Tensor exact = d.to(at::kDouble).mul(slope);
  gelu_backward(h, d, sums);
  EXPECT_LT(relative_error(d, exact), 1e-6);
  EXPECT_LT(relative_error(sums, exact.sum(0)), 1e-5);
}

// bf16 works from tables and rounds once, as the formula does; 1e-4 leaves room for a rare tie that
// another instruction set decides otherwise.
TEST(Gelu, TablesOfBf16EqualTheFormula) {
  const at::Tensor h = at::randn({9, 300}).mul(3).to(at::kBFloat16);
  const at::Tensor start = at::randn({9, 300}).to(at::kBFloat16);
  at::Tensor d = start.clone(), sums = at::zeros({300});
  gelu_backward(h, d, sums);
  at::Tensor exact = start.to(at::kFloat), exact_sums = at::zeros({300});
  gelu_backward(h.to(at::kFloat), exact, exact_sums);
  EXPECT_LT(relative_error(d, exact.to(at::kBFloat16).to(at::kDouble)), 1e-4);
  EXPECT_LT(relative_error(sums, exact_sums.to(at::kDouble)), 1e-6);
  const at::Tensor a = gelu(h.to(at::kFloat)).to(at::kBFloat16);
  EXPECT_LT(relative_error(gelu(h), a.to(at::kDouble)), 1e-4);
}

// NaN must reach the guard of the training loop, not vanish in a kernel.
TEST(Kernels, NanPassesThrough) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    at::Tensor h = at::zeros({4, 16});
    h[1][2] = std::nan("");
    EXPECT_TRUE(std::isnan(gelu(h.to(type)).sum().item<float>()));
    const Normed normed =
        add_layer_norm(h, {}, at::zeros({16}).add(1), at::zeros({16}), 1e-6, type);
    EXPECT_TRUE(std::isnan(normed.y.sum().item<float>()));
    at::Tensor qkv = at::zeros({1, 80, 3, 64}).to(type);
    qkv[0][3][1][5] = std::nan("");
    EXPECT_TRUE(std::isnan(attention(qkv, 1).out.sum().item<float>()));
  }
}

// A run repeated has its tensors elsewhere in memory, and must come to the same bits.
TEST(Kernels, LayerNormsGradientDoesNotDependOnWhereOperandsLie) {
  constexpr std::int64_t rows = 36, dim = 16, size = rows * dim;
  const at::Tensor dy = at::randn({size}).to(at::kBFloat16);
  const std::vector<at::Tensor> given{dy.view(at::kFloat), at::randn({size}), at::randn({rows}),
                                      at::rand({rows}),    at::randn({dim}),  at::randn({size}),
                                      at::zeros({dim}),    at::zeros({dim})};
  at::Tensor first;
  for (std::size_t turn = 0; turn < given.size(); ++turn)
    for (std::int64_t between = 0; between < 64; between += 4) {  // values, of 16 bytes
      const at::Tensor pool = at::zeros({8 * size});
      std::vector<float*> place(given.size());
      std::int64_t next = 0;
      for (std::size_t i = 0; i < given.size(); ++i) {
        const std::size_t which = (i + turn) % given.size();
        at::Tensor there = pool.narrow(0, next, given[which].numel());
        there.copy_(given[which]);
        place[which] = there.data_ptr<float>();
        next += there.numel() + between;
      }
      row_kernels<Bf16>().layer_norm_backward(rows, dim, reinterpret_cast<Bf16*>(place[0]),
                                              place[1], place[2], place[3], place[4], place[5],
                                              place[6], place[7]);
      const at::Tensor dx = pool.narrow(0, place[5] - pool.data_ptr<float>(), size).clone();
      if (!first.defined()) first = dx;
      EXPECT_TRUE(at::equal(dx, first)) << "order " << turn << ", " << between << " apart";
    }
}

}  // namespace
}  // namespace sgmae
