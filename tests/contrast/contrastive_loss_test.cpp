// Oracle: the formula in double precision under autograd; closed forms; of two processes, one with
// the images of both.
#include "sgmae/contrast/contrastive_loss.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "sgmae/io/safetensors.h"
#include "tests/support/other_device.h"
#include "tests/support/processes.h"
#include "tests/support/tensors.h"

namespace sgmae {
namespace {

// Queries near their keys, but for those that are nearer to another one.
at::Tensor queries() {
  return noise({6, 5}, 1).mul_(2).add_(noise({6, 5}, 2));
}
at::Tensor keys() {
  return noise({6, 5}, 1).mul_(3);
}

// The loss and the gradient of the queries.
std::pair<ContrastiveLoss, at::Tensor> with_gradient(const at::Tensor& q, const at::Tensor& k,
                                                     double temperature, double scale = 1) {
  const at::AutoGradMode record(true);
  const at::Tensor x = q.detach().requires_grad_();
  const ContrastiveLoss loss = contrastive_loss(x, k, temperature);
  torch::autograd::backward({loss.mean.mul(scale)}, {});
  return {{loss.mean.detach(), loss.right}, x.grad()};
}

TEST(ContrastiveLoss, IsTheFormula) {
  for (const double t : {0.2, 1.0}) {
    const at::AutoGradMode record(true);
    const at::Tensor q = queries().to(at::kDouble).requires_grad_(), k = keys().to(at::kDouble);
    const at::Tensor cosine =
        q.div(q.norm(2, {1}, true)).mm(k.div(k.norm(2, {1}, true)).t()).div(t);
    const at::Tensor exact = at::log_softmax(cosine, 1).diagonal().mean().neg().mul(2 * t);
    torch::autograd::backward({exact}, {});
    std::int64_t right = 0;
    for (std::int64_t i = 0; i < 6; ++i) right += cosine[i].argmax().item<std::int64_t>() == i;
    ASSERT_LT(right, 6);
    const auto [loss, dq] = with_gradient(queries(), keys(), t);
    EXPECT_LT(relative_error(loss.mean, exact), 1e-6);
    EXPECT_LT(relative_error(dq, q.grad()), 1e-5);
    EXPECT_NEAR(loss.right.item<double>(), static_cast<double>(right) / 6, 1e-6);
  }
}

TEST(ContrastiveLoss, HasClosedForms) {
  const at::Tensor apart = at::eye(4).mul(7);  // cosines 1 and 0
  const ContrastiveLoss best = contrastive_loss(apart, apart, 0.5);
  EXPECT_NEAR(best.mean.item<double>(), std::log(1 + 3 * std::exp(-2)), 1e-6);
  EXPECT_EQ(best.right.item<double>(), 1);
  const ContrastiveLoss none = contrastive_loss(at::zeros({4, 3}), noise({4, 3}, 1), 0.5);
  EXPECT_NEAR(none.mean.item<double>(), std::log(4), 1e-6) << "says nothing, and is a number";
}

TEST(ContrastiveLossInProcesses, ComparesWithTheImagesOfAll) {
  const TemporaryFolder folder;
  const auto [whole, dwhole] = with_gradient(queries(), keys(), 0.2);
  expect_in_processes(2, [&] {
    at::set_num_threads(1);
    const std::int64_t begin = 3 * processes().rank();
    const auto [own, dq] =
        with_gradient(queries().narrow(0, begin, 3), keys().narrow(0, begin, 3), 0.2, 0.5);
    const at::Tensor means = own.mean.div(2).view({1}).clone(), right = own.right.div(2).view({1});
    processes().sum(means);
    processes().sum(right);
    write_safetensors(folder.root() / std::to_string(processes().rank()),
                      {{"mean", means}, {"right", right}, {"dq", dq}}, {});
  });
  for (std::int64_t rank = 0; rank < 2; ++rank) {
    const TensorFile file = read_safetensors(folder.root() / std::to_string(rank));
    EXPECT_LT(relative_error(golden_tensor(file, "mean"), whole.mean.view({1})), 1e-6);
    EXPECT_LT(relative_error(golden_tensor(file, "right"), whole.right.view({1})), 1e-6);
    EXPECT_LT(relative_error(golden_tensor(file, "dq"), dwhole.narrow(0, 3 * rank, 3)), 1e-5);
  }
}

TEST(ContrastiveLossDevice, IsTheCpus) {
  const at::Device device = other_device();
  const ContrastiveLoss here = contrastive_loss(queries(), keys(), 0.2);
  const ContrastiveLoss there = contrastive_loss(queries().to(device), keys().to(device), 0.2);
  EXPECT_LT(relative_error(there.mean, here.mean), 1e-6);
  EXPECT_LT(relative_error(there.right, here.right), 1e-6);
}

}  // namespace
}  // namespace sgmae
