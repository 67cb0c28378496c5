// Oracle: the same product in fp64. Shapes end within a tile, a strip and a step; deep ones are cut
// along the depth, and the two last of a type also along what passes meanwhile.
#include "sgmae/nn/products.h"

#include <ATen/Parallel.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace sgmae {
namespace {

struct Case {
  std::int64_t rows, in, out;
  at::ScalarType type;
};

class Products : public testing::TestWithParam<Case> {
 protected:
  Products() {
    const auto [rows, in, out, type] = GetParam();
    x = at::randn({rows, in}).to(type);
    w = at::randn({out, in}).to(type);
    b = at::randn({out}).mul(10).to(type);
    dy = at::randn({rows, out}).to(type);
  }

  // Every value of `ours` is within what its type rounds off (bf16: 2^-8, once), and what adding up
  // in fp32 does: `depth` roundings by 2^-25 of partial sums, each a few times its root.
  static void near(const at::Tensor& ours, const at::Tensor& exact, std::int64_t depth) {
    ASSERT_EQ(ours.sizes(), exact.sizes());
    if (ours.numel() == 0) return;
    const double rounding = ours.scalar_type() == at::kBFloat16 ? 0x1p-8 : 0x1p-22;
    const double sums = 0x1p-22 * static_cast<double>(depth) + 2e-6;
    const at::Tensor excess =
        ours.to(at::kDouble).sub(exact).abs().sub(exact.abs().mul(rounding).add(sums));
    EXPECT_LT(excess.max().item<double>(), 0);
  }

  at::Tensor x, w, b, dy;
};

TEST_P(Products, AllThreeEqualTheDefinition) {
  const auto [rows, in, out, type] = GetParam();
  const at::Tensor X = x.to(at::kDouble), W = w.to(at::kDouble), DY = dy.to(at::kDouble);
  const at::Tensor y = linear(x, w, b), dx = linear_input_grad(dy, w);
  EXPECT_EQ(y.scalar_type(), type);
  EXPECT_EQ(dx.scalar_type(), type);
  near(y, at::mm(X, W.t()).add(b.to(at::kDouble)), in);
  near(dx, at::mm(DY, W), out);
  at::Tensor dw = at::randn({out, in});
  const at::Tensor exact = dw.to(at::kDouble).add(at::mm(DY.t(), X));
  linear_weight_grad(dy, x, dw);
  near(dw, exact, rows);
}

// body() with several numbers of threads: equal tensors every time.
template <class Body>
void expect_equal_for_any_threads(Body body) {
  const int threads = at::get_num_threads();
  at::Tensor first;
  for (const int n : {1, 2, 3, 6}) {
    at::set_num_threads(n);
    const at::Tensor result = body();
    if (n == 1) first = result;
    EXPECT_TRUE(at::equal(result, first)) << n << " threads";
  }
  at::set_num_threads(threads);
}

TEST_P(Products, DoNotDependOnTheNumberOfThreads) {
  if (!has_products(at::kCPU)) GTEST_SKIP() << "LibTorch's products promise no such thing";
  const auto [rows, in, out, type] = GetParam();
  const at::Tensor start = at::randn({out, in});
  expect_equal_for_any_threads([&] { return linear(x, w, b); });
  expect_equal_for_any_threads([&] { return linear_input_grad(dy, w); });
  expect_equal_for_any_threads([&] {
    at::Tensor dw = start.clone();
    linear_weight_grad(dy, x, dw);
    return dw;
  });
}

// To the bit, the sign of zeros too. That they are not read shows in a memory without any.
TEST_P(Products, WeightGradOverZerosIsWhatIsAddedToThem) {
  const auto [rows, in, out, type] = GetParam();
  const double unread = has_products(at::kCPU) ? std::numeric_limits<double>::quiet_NaN() : 0;
  at::Tensor added = at::zeros({out, in}), written = at::full({out, in}, unread, at::kFloat);
  linear_weight_grad(dy, x, added);
  linear_weight_grad(dy, x, written, /*zeros=*/true);
  EXPECT_TRUE(at::equal(written.view(at::kInt), added.view(at::kInt)));
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Products,
    testing::Values(Case{0, 48, 29, at::kFloat}, Case{0, 48, 29, at::kBFloat16},
                    Case{1, 1, 1, at::kFloat}, Case{37, 48, 29, at::kFloat},
                    Case{65, 31, 33, at::kFloat}, Case{70, 1700, 450, at::kFloat},
                    Case{1500, 40, 60, at::kFloat}, Case{3400, 1700, 100, at::kFloat},
                    Case{70, 1700, 3300, at::kFloat}, Case{1, 1, 1, at::kBFloat16},
                    Case{37, 48, 29, at::kBFloat16}, Case{65, 31, 33, at::kBFloat16},
                    Case{70, 1700, 450, at::kBFloat16}, Case{300, 450, 1700, at::kBFloat16},
                    Case{6200, 416, 64, at::kBFloat16}, Case{4353, 200, 300, at::kBFloat16},
                    Case{3400, 1700, 100, at::kBFloat16}, Case{70, 1700, 3300, at::kBFloat16}));

// Rows of one call must not be left over in the next one's padding: not finite, they would show.
TEST(Product, WeightGradLeavesNothingBehind) {
  at::Tensor dw = at::zeros({40, 70});
  const double bad = std::numeric_limits<double>::infinity();
  linear_weight_grad(at::full({96, 40}, bad, at::kBFloat16), at::full({96, 70}, bad, at::kBFloat16),
                     dw);
  dw.zero_();
  const at::Tensor dy = at::ones({35, 40}, at::kBFloat16), x = at::ones({35, 70}, at::kBFloat16);
  linear_weight_grad(dy, x, dw);
  EXPECT_TRUE(at::equal(dw, at::full({40, 70}, 35.0f)));
}

// Weights of fp32 count as rounded to the activations' type.
TEST(Product, RoundsWeights) {
  if (!has_products(at::kCPU)) GTEST_SKIP() << "weights are to be rounded before";
  const at::Tensor x = at::randn({50, 70}).to(at::kBFloat16), w = at::randn({90, 70}),
                   b = at::randn({90}), dy = at::randn({50, 90}).to(at::kBFloat16);
  EXPECT_TRUE(at::equal(linear(x, w, b), linear(x, w.to(at::kBFloat16), b)));
  EXPECT_TRUE(at::equal(linear_input_grad(dy, w), linear_input_grad(dy, w.to(at::kBFloat16))));
}

// fp32 means fp32: operands whose digits all count, and whose products all but cancel.
TEST(Product, KeepsAllDigitsOfFp32) {
  const at::Tensor x = at::randn({64, 2}).abs().add(1), w = at::randn({64, 1}).abs().add(1);
  at::Tensor pairs = at::zeros({64, 2});
  pairs.select(1, 0).copy_(w.select(1, 0));
  pairs.select(1, 1).copy_(w.select(1, 0).neg());
  at::Tensor close = x.clone();
  close.select(1, 1).copy_(x.select(1, 0).mul(1 + 0x1p-20));
  const at::Tensor exact = at::mm(close.to(at::kDouble), pairs.to(at::kDouble).t());
  const at::Tensor y = linear(close, pairs, at::zeros({64}));
  // Of the products, at most 5 * 5, half a unit of their last place and as much for what is left
  // out.
  EXPECT_LT(y.to(at::kDouble).sub(exact).abs().max().item<double>(), 25 * 0x1p-23);
  EXPECT_GT(exact.abs().max().item<double>(), 25 * 0x1p-23);
}

// One sum along the whole depth would be 6e-5 off, in the root of the mean square.
TEST(Product, DeepOnesLoseFewDigitsOfFp32) {
  const at::Tensor x = at::randn({70, 3300}), w = at::randn({1700, 3300});
  const at::Tensor error = linear(x, w, at::zeros({1700}))
                               .to(at::kDouble)
                               .sub(at::mm(x.to(at::kDouble), w.to(at::kDouble).t()));
  EXPECT_LT(std::sqrt(error.square().mean().item<double>()), 4.5e-5);
}

// What is not finite must reach the guard of the training loop.
TEST(Product, NotFiniteStaysSo) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16})
    for (const double bad :
         {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
      at::Tensor x = at::randn({40, 40}).to(type);
      x[3][5] = bad;
      const at::Tensor y = linear(x, at::randn({40, 40}).to(type), at::zeros({40}).to(type));
      EXPECT_FALSE(std::isfinite(y[3].sum().item<double>()));
      EXPECT_TRUE(std::isfinite(y[4].sum().item<double>()));
    }
}

}  // namespace
}  // namespace sgmae
