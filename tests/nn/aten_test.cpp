// Oracle: the CPU kernels of nn/ops.h and nn/patches.h, themselves held against LibTorch in fp64
// and against transformers (nn/ops_test.cpp, nn/mae_test.cpp).
#include "sgmae/nn/kernels/aten.h"

#include <ATen/Parallel.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "sgmae/nn/ops.h"
#include "sgmae/nn/patches.h"
#include "sgmae/nn/products.h"
#include "tests/support/other_device.h"
#include "tests/support/tensors.h"

namespace sgmae {
namespace {

at::Tensor there(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.to(other_device()) : tensor;
}

class AtenOnDevice : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    other_device();
    at::set_num_threads(1);  // tiny tensors: threads would only wait
  }
  at::Tensor drawn(at::IntArrayRef shape) const { return at::randn(shape).to(GetParam()); }
  // Both sides sum in fp32, in another order; in bf16 each may round another intermediate value
  // (half an ulp: 2^-9 of a value).
  double tolerance() const { return GetParam() == at::kFloat ? 2e-6 : 4e-3; }
  void same(const at::Tensor& ours, const at::Tensor& theirs) const {
    ASSERT_EQ(ours.sizes(), theirs.sizes());
    EXPECT_EQ(ours.scalar_type(), theirs.scalar_type());
    EXPECT_TRUE(ours.is_contiguous());
    EXPECT_GT(theirs.abs().max().item<double>(), 0);
    EXPECT_LT(relative_error(ours, theirs), tolerance());
  }
};

TEST_P(AtenOnDevice, GradientsOfLinearAreAdded) {
  const at::Tensor dy = drawn({37, 24}), x = drawn({37, 16});
  at::Tensor theirs = at::randn({24, 16}), ours = there(theirs);
  aten::linear_weight_grad(there(dy), there(x), ours);
  linear_weight_grad(dy, x, theirs);
  EXPECT_LT(relative_error(ours, theirs), 2e-6);  // fp32 sums of the same products, in bf16 too
  at::Tensor their_bias = at::randn({24}), our_bias = there(their_bias);
  aten::bias_grad(there(dy), our_bias);
  bias_grad(dy, their_bias);
  EXPECT_LT(relative_error(our_bias, their_bias), 2e-6);
}

TEST_P(AtenOnDevice, LayerNorm) {
  const at::Tensor x = at::randn({19, 24}).mul(3).add(1), delta = drawn({19, 24});
  const at::Tensor weight = at::randn({24}), bias = at::randn({24}), dy = drawn({19, 24});
  for (const at::Tensor& added : {delta, at::Tensor()}) {
    const Normed ours =
        aten::add_layer_norm(there(x), there(added), there(weight), there(bias), 1e-6, GetParam());
    const Normed theirs = add_layer_norm(x, added, weight, bias, 1e-6, GetParam());
    EXPECT_TRUE(ours.sum.cpu().equal(theirs.sum));
    same(ours.y, theirs.y);
    EXPECT_LT(relative_error(ours.mean, theirs.mean), 2e-6);
    EXPECT_LT(relative_error(ours.rstd, theirs.rstd), 2e-6);

    at::Tensor their_dx = at::randn({19, 24}), their_dw = at::randn({24}),
               their_db = at::randn({24});
    at::Tensor dx = there(their_dx), dw = there(their_dw), db = there(their_db);
    aten::layer_norm_backward(there(dy), ours, there(weight), dx, dw, db);
    layer_norm_backward(dy, theirs, weight, their_dx, their_dw, their_db);
    EXPECT_LT(relative_error(dx, their_dx), 2e-6);
    EXPECT_LT(relative_error(dw, their_dw), 2e-6);
    EXPECT_LT(relative_error(db, their_db), 2e-6);
  }
}

TEST_P(AtenOnDevice, Gelu) {
  const at::Tensor h = drawn({21, 16}), d = drawn({21, 16});
  same(aten::gelu(there(h)), gelu(h));
  at::Tensor ours = there(d), theirs = d.clone();
  at::Tensor their_grad = at::randn({16}), our_grad = there(their_grad);
  aten::gelu_backward(there(h), ours, our_grad);
  gelu_backward(h, theirs, their_grad);
  same(ours, theirs);
  EXPECT_LT(relative_error(our_grad, their_grad), tolerance());
}

TEST_P(AtenOnDevice, Attention) {
  const std::int64_t heads = 3;
  const at::Tensor qkv = drawn({2, 13, 3, 24}), dout = drawn({2, 13, 24});
  const Attended ours = aten::attention(there(qkv), heads), theirs = attention(qkv, heads);
  same(ours.out, theirs.out);
  EXPECT_LT(relative_error(ours.log_sum_exp, theirs.log_sum_exp), 2e-6);
  same(aten::attention_backward(there(dout), there(qkv), ours, heads),
       attention_backward(dout, qkv, theirs, heads));
}

TEST_P(AtenOnDevice, PatchesAndTokens) {
  const std::int64_t batch = 3, n = 12, visible = 4, dim = 8;
  const at::Tensor pixels = at::randn({batch, 2, 16, 12});
  const at::Tensor order = at::argsort(at::rand({batch, n}), /*stable=*/true, 1);
  EXPECT_TRUE(aten::gather_patches(there(pixels), there(order), visible, 4, GetParam())
                  .cpu()
                  .equal(gather_patches(pixels, order, visible, 4, GetParam())));

  const at::Tensor token = at::randn({1, 1, dim}), places = at::randn({1, 1 + n, dim});
  const at::Tensor embedded = drawn({batch * visible, dim});
  EXPECT_TRUE(
      aten::embed_tokens(there(embedded), there(order), visible, there(token), there(places))
          .cpu()
          .equal(embed_tokens(embedded, order, visible, token, places)));
  const at::Tensor encoded = drawn({batch * (1 + visible), dim});
  EXPECT_TRUE(
      aten::restore_tokens(there(encoded), there(order), visible, there(token), there(places))
          .cpu()
          .equal(restore_tokens(encoded, order, visible, token, places)));

  // The last of the order are thrown.
  const at::Tensor masked = order.narrow(1, visible, n - visible - 2).contiguous();
  EXPECT_TRUE(aten::append_mask_tokens(there(encoded), there(order), there(masked), there(token),
                                       there(places))
                  .cpu()
                  .equal(append_mask_tokens(encoded, order, masked, token, places)));
}

TEST_P(AtenOnDevice, ReconstructionLoss) {
  const std::int64_t batch = 3, n = 12, visible = 4, values = 4 * 4 * 2;
  const at::Tensor pixels = at::randn({batch, 2, 16, 12});
  const at::Tensor order = at::argsort(at::rand({batch, n}), /*stable=*/true, 1);
  const at::Tensor masked = order.narrow(1, visible, n - visible).contiguous();
  const at::Tensor pred = drawn({batch * (n - visible), values});
  for (const bool norm_pix : {false, true}) {
    at::Tensor ours, theirs;
    const MaeLoss our_loss = aten::reconstruction_loss(there(pixels), there(pred), there(masked), 4,
                                                       norm_pix, 0.5, &ours);
    const MaeLoss their_loss = reconstruction_loss(pixels, pred, masked, 4, norm_pix, 0.5, &theirs);
    const double mean = their_loss.mean.item<double>();
    EXPECT_NEAR(our_loss.mean.item<double>(), mean, 1e-6 * mean);
    EXPECT_EQ(their_loss.per_patch.sizes(), (at::IntArrayRef{batch, n - visible}));
    EXPECT_NEAR(their_loss.per_patch.mean().item<double>(), mean, 1e-6 * mean);
    same(our_loss.per_patch, their_loss.per_patch);
    same(ours, theirs);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, AtenOnDevice, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& info) {
                           return info.param == at::kFloat ? "fp32" : "bf16";
                         });

}  // namespace
}  // namespace sgmae
