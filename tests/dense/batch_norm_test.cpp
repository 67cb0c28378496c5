// Oracle: ATen's batch norm in double, forward and backward; of two processes, one with both their
// batches.
#include "sgmae/dense/batch_norm.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "sgmae/base/error.h"
#include "tests/support/other_device.h"
#include "tests/support/processes.h"
#include "tests/support/tensors.h"

namespace sgmae {
namespace {

constexpr std::int64_t channels = 70;  // more than are summed at a time

// A layer, what it made of x and dy, and the same by ATen in double.
struct Layer {
  std::vector<Parameter> parameters;
  RunningStatistics running{"bn", noise({channels}, 11), noise({channels}, 12).square().add_(0.5),
                            at::zeros({}, at::kLong)};
  BatchNorm norm;

  explicit Layer(bool affine = true) {
    parameters.push_back({"bn.weight", noise({channels}, 13), {}});
    parameters.push_back({"bn.bias", noise({channels}, 14), {}});
    for (Parameter& p : parameters) p.grad = at::zeros_like(p.value);
    if (affine) norm.weight = &parameters[0], norm.bias = &parameters[1];
    norm.running = &running;
  }

  at::Tensor trained(const at::Tensor& given, const at::Tensor& dy, bool relu) {
    const at::AutoGradMode record(true);
    x = given.detach().requires_grad_();
    at::Tensor y = norm.forward(x, relu);
    torch::autograd::backward({y}, {dy});
    return y.detach();
  }

  at::Tensor x;
};

at::Tensor maps(std::int64_t batch, std::uint64_t seed) {
  return noise({batch, channels, 9, 11}, seed).mul_(2).add_(5);
}

class BatchNorms : public testing::TestWithParam<std::tuple<bool, bool>> {};

// 1e-5: sums of 300 cells in fp32. The gradient of x is a small difference of larger numbers.
TEST_P(BatchNorms, AreThoseOfATen) {
  const auto [affine, relu] = GetParam();
  const at::Tensor given = maps(3, 1), dy = noise({3, channels, 9, 11}, 2);
  Layer layer(affine);
  at::Tensor w = layer.parameters[0].value.to(at::kDouble).requires_grad_();
  at::Tensor b = layer.parameters[1].value.to(at::kDouble).requires_grad_();
  at::Tensor mean = layer.running.mean.to(at::kDouble), var = layer.running.var.to(at::kDouble);
  at::Tensor x = given.to(at::kDouble).requires_grad_();
  const auto exact = [&](const at::Tensor& x, bool training) {
    const at::Tensor y = at::batch_norm(x, affine ? w : at::Tensor(), affine ? b : at::Tensor(),
                                        mean, var, training, 0.1, 1e-5, false);
    return relu ? at::relu(y) : y;
  };
  {
    const at::NoGradGuard by_running_statistics;
    EXPECT_LT(relative_error(layer.norm.forward(given, relu), exact(x, false)), 1e-6);
  }
  EXPECT_EQ(layer.running.batches.item<std::int64_t>(), 0);
  at::Tensor y;
  {
    const at::AutoGradMode record(true);
    y = exact(x, true);
    torch::autograd::backward({y}, {dy.to(at::kDouble)});
  }
  EXPECT_LT(relative_error(layer.trained(given, dy, relu), y.detach()), 1e-6);
  EXPECT_LT(relative_error(layer.x.grad(), x.grad()), 1e-5);
  if (affine) {
    EXPECT_LT(relative_error(layer.parameters[0].grad, w.grad()), 1e-5);
    EXPECT_LT(relative_error(layer.parameters[1].grad, b.grad()), 1e-5);
  }
  EXPECT_LT(relative_error(layer.running.mean, mean), 1e-6);
  EXPECT_LT(relative_error(layer.running.var, var), 1e-6);
  EXPECT_EQ(layer.running.batches.item<std::int64_t>(), 1);
}

INSTANTIATE_TEST_SUITE_P(AffineAndRelu, BatchNorms,
                         testing::Combine(testing::Bool(), testing::Bool()));

TEST(BatchNorm, IsTheSameForAnyNumberOfThreads) {
  const at::Tensor x = maps(3, 1), dy = noise({3, channels, 9, 11}, 2);
  at::set_num_threads(1);
  Layer alone;
  const at::Tensor y = alone.trained(x, dy, true);
  at::set_num_threads(3);
  Layer three;
  EXPECT_TRUE(three.trained(x, dy, true).equal(y));
  EXPECT_TRUE(three.x.grad().equal(alone.x.grad()));
  EXPECT_TRUE(three.parameters[0].grad.equal(alone.parameters[0].grad));
  at::set_num_threads(1);
}

// bf16 has 8 bits: half a unit in the last place of each value.
TEST(BatchNorm, TakesBf16) {
  const at::Tensor x = maps(3, 1).to(at::kBFloat16);
  const at::Tensor dy = noise({3, channels, 9, 11}, 2).to(at::kBFloat16);
  Layer exact, layer;
  const at::Tensor y = exact.trained(x.to(at::kFloat), dy.to(at::kFloat), true);
  const at::Tensor ours = layer.trained(x, dy, true);
  EXPECT_EQ(ours.scalar_type(), at::kBFloat16);
  EXPECT_LT(relative_error(ours, y), 3e-3);
  EXPECT_LT(relative_error(layer.x.grad(), exact.x.grad()), 3e-3);
  EXPECT_LT(relative_error(layer.parameters[0].grad, exact.parameters[0].grad), 1e-5);
  EXPECT_LT(relative_error(layer.running.var, exact.running.var), 1e-6);
}

TEST(BatchNorm, RefusesASingleValue) {
  Layer layer;
  const at::Tensor one = noise({1, channels, 1, 1}, 1);
  {
    const at::NoGradGuard by_running_statistics;
    EXPECT_NO_THROW(layer.norm.forward(one, true));
  }
  try {
    const at::AutoGradMode record(true);
    layer.norm.forward(one, true);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
  }
  EXPECT_EQ(layer.running.batches.item<std::int64_t>(), 0);
}

// 1e-6: the same sums in another order.
TEST(BatchNormInProcesses, IsThatOfAllTheirBatches) {
  at::set_num_threads(1);
  const at::Tensor x = maps(5, 1), dy = noise({5, channels, 9, 11}, 2);
  expect_in_processes(2, [&] {
    // Of different sizes.
    const int rank = processes().rank();
    const auto own = [&](const at::Tensor& all) { return all.narrow(0, 2 * rank, 2 + rank); };
    Layer layer;
    const at::Tensor y = layer.trained(own(x), own(dy), true);
    processes().sum(layer.parameters[0].grad);
    processes().sum(layer.parameters[1].grad);
    // What one has of everything, computed beside: its own collectives are those of both.
    at::Tensor mean = noise({channels}, 11), var = noise({channels}, 12).square().add_(0.5);
    at::Tensor w = noise({channels}, 13).requires_grad_(),
               b = noise({channels}, 14).requires_grad_();
    at::Tensor whole = x.detach().requires_grad_(), expected;
    {
      const at::AutoGradMode record(true);
      expected = at::relu(at::batch_norm(whole, w, b, mean, var, true, 0.1, 1e-5, false));
      torch::autograd::backward({expected}, {dy});
    }
    EXPECT_LT(relative_error(y, own(expected.detach())), 1e-6);
    EXPECT_LT(relative_error(layer.x.grad(), own(whole.grad())), 1e-5);
    EXPECT_LT(relative_error(layer.parameters[0].grad, w.grad()), 1e-5);
    EXPECT_LT(relative_error(layer.parameters[1].grad, b.grad()), 1e-5);
    EXPECT_LT(relative_error(layer.running.mean, mean), 1e-6);
    EXPECT_LT(relative_error(layer.running.var, var), 1e-6);
  });
}

TEST(BatchNormInProcesses, OneImageInEachIsEnough) {
  expect_in_processes(2, [&] {
    Layer layer;
    const at::Tensor one =
        noise({1, channels, 1, 1}, static_cast<std::uint64_t>(processes().rank()));
    layer.trained(one, one, true);
  });
}

// 1e-5: LibTorch's sums on the other device. The pretended one has no backward passes.
TEST(BatchNormDevice, IsTheCpus) {
  const at::Device device = other_device();
  const at::Tensor x = maps(3, 1);
  Layer cpu, other;
  for (at::Tensor* t : {&other.running.mean, &other.running.var}) *t = t->to(device);
  for (Parameter& p : other.parameters) p.value = p.value.to(device), p.grad = p.grad.to(device);
  const at::AutoGradMode record(true);
  const at::Tensor y = cpu.norm.forward(x, true).detach();
  EXPECT_LT(relative_error(other.norm.forward(x.to(device), true).detach(), y), 1e-5);
  EXPECT_LT(relative_error(other.running.mean, cpu.running.mean), 1e-5);
  EXPECT_LT(relative_error(other.running.var, cpu.running.var), 1e-5);
}

}  // namespace
}  // namespace sgmae
