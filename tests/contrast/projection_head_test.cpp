// Oracle: the same layers by ATen in double precision, forward and backward.
#include "sgmae/contrast/projection_head.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/batch_norm.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "tests/support/tensors.h"

namespace sgmae {
namespace {

class ProjectionHeads : public testing::Test {
 protected:
  ProjectionHeads() {
    parameters_.reserve(16);
    head_.emplace("head", std::vector<std::int64_t>{5, 8, 7, 3}, LayerMaker(init_, &running_));
    flatten_gradients(parameters_);
    for (Parameter& p : parameters_)
      if (p.value.dim() == 1) p.value.add_(noise(p.value.sizes(), 9).mul_(0.3));
  }

  std::vector<Parameter> parameters_;
  std::deque<RunningStatistics> running_;
  Initialiser init_{parameters_, 7};
  std::optional<ProjectionHead> head_;
};

TEST_F(ProjectionHeads, ParametersAreThoseOfThePublishedCode) {
  std::vector<std::string> names;
  for (const Parameter& p : parameters_) names.push_back(p.name);
  EXPECT_EQ(names, (std::vector<std::string>{"head.0.weight", "head.1.weight", "head.1.bias",
                                             "head.3.weight", "head.4.weight", "head.4.bias",
                                             "head.6.weight"}));
  for (const std::size_t i : {0u, 3u, 6u}) {
    const at::Tensor& w = parameters_[i].value;
    const double bound = 1 / std::sqrt(static_cast<double>(w.size(1)));
    EXPECT_LE(w.abs().max().item<double>(), bound);
    EXPECT_GT(w.abs().max().item<double>(), 0.8 * bound);
  }
}

// 1e-5: the gradient behind a batch norm is a small difference of larger numbers.
TEST_F(ProjectionHeads, ForwardAndBackwardAreThoseOfATen) {
  const at::AutoGradMode record(true);
  const at::Tensor x = noise({9, 5}, 1), dy = noise({9, 3}, 2);
  at::Tensor ours = x.detach().requires_grad_();
  const at::Tensor y = head_->forward(ours, at::kFloat);
  torch::autograd::backward({y}, {dy});

  std::vector<at::Tensor> exact;
  for (const Parameter& p : parameters_) exact.push_back(p.value.to(at::kDouble).requires_grad_());
  const auto norm = [](const at::Tensor& x, const at::Tensor& w, const at::Tensor& b) {
    return at::batch_norm(x, w, b, {}, {}, /*training=*/true, 0.1, 1e-5, false);
  };
  const at::Tensor input = x.to(at::kDouble).requires_grad_();
  at::Tensor z = norm(input.mm(exact[0].t()), exact[1], exact[2]).relu();
  z = norm(z.mm(exact[3].t()), exact[4], exact[5]).relu();
  z = norm(z.mm(exact[6].t()), {}, {});
  torch::autograd::backward({z}, {dy.to(at::kDouble)});
  EXPECT_LT(relative_error(y.detach(), z.detach()), 1e-6);
  EXPECT_LT(relative_error(ours.grad(), input.grad()), 1e-5);
  for (std::size_t i = 0; i < exact.size(); ++i)
    EXPECT_LT(relative_error(parameters_[i].grad, exact[i].grad()), 1e-5) << parameters_[i].name;
}

}  // namespace
}  // namespace sgmae
