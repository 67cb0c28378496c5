// Oracle: the update rule written out in double, value by value.
#include "sgmae/optim/lars.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sgmae/base/error.h"
#include "sgmae/base/rng.h"
#include "tests/support/other_device.h"
#include "tests/support/tensors.h"

namespace sgmae {
namespace {

std::vector<Parameter> head() {
  return {{"head.1.weight", noise({7, 5}, 1), at::zeros({7, 5})},
          {"head.1.bias", noise({7}, 2), at::zeros({7})}};
}

struct SlowLars {
  std::vector<double> value, mu;
  bool matrix;

  void step(const at::Tensor& grad, double lr, const LarsOptions& o) {
    std::vector<double> g(value.size());
    double size = 0, slope = 0;
    for (std::size_t i = 0; i < g.size(); ++i) {
      g[i] = grad.data_ptr<float>()[i] + (matrix ? o.weight_decay * value[i] : 0);
      size += value[i] * value[i];
      slope += g[i] * g[i];
    }
    const double scale =
        matrix && size > 0 && slope > 0 ? o.trust * std::sqrt(size) / std::sqrt(slope) : 1;
    for (std::size_t i = 0; i < g.size(); ++i) {
      mu[i] = o.momentum * mu[i] + scale * g[i];
      value[i] -= lr * mu[i];
    }
  }
};

TEST(Lars, EqualsTheSlowVersionStepForStep) {
  for (const LarsOptions& options : {LarsOptions{}, LarsOptions{0.8, 0.02, 0.1}}) {
    std::vector<Parameter> parameters = head();
    Lars lars(parameters, options);
    std::vector<SlowLars> slow;
    for (const Parameter& p : parameters) {
      const float* v = p.value.data_ptr<float>();
      const auto n = static_cast<std::size_t>(p.value.numel());
      slow.push_back({{v, v + n}, std::vector<double>(n), p.value.dim() > 1});
    }
    for (std::uint64_t step = 0; step < 50; ++step) {
      const double lr = 6.4 * (1 + static_cast<double>(step % 3)) / 3;
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        parameters[i].grad = noise(parameters[i].value.sizes(), 10 + 2 * step + i);
        slow[i].step(parameters[i].grad, lr, options);
      }
      lars.step(lr);
      for (std::size_t i = 0; i < parameters.size(); ++i)
        for (std::size_t k = 0; k < slow[i].value.size(); ++k) {
          const double expected = slow[i].value[k];
          // Rounding to fp32 at each of 50 steps, 6e-8 of values up to about 100.
          ASSERT_NEAR(parameters[i].value.data_ptr<float>()[k], expected,
                      2e-5 * std::max(1.0, std::abs(expected)))
              << parameters[i].name << " after step " << step;
        }
    }
  }
}

TEST(Lars, ScalesGradientsBeforeAllElse) {
  std::vector<Parameter> whole{{"b", at::zeros({4}), at::ones({4})}},
      clipped = {{"b", at::zeros({4}), at::ones({4})}};
  Lars(whole, {}).step(0.5);
  Lars(clipped, {}).step(0.5, 0.25);
  EXPECT_TRUE(at::equal(clipped[0].value, whole[0].value.mul(0.25)));
}

TEST(Lars, TakesTheGradientAsItIsWhereANormIsZero) {
  std::vector<Parameter> parameters{{"w", at::zeros({2, 2}), noise({2, 2}, 3)}};
  const at::Tensor grad = parameters[0].grad.clone();
  Lars lars(parameters, {});
  lars.step(0.5);
  EXPECT_TRUE(at::equal(parameters[0].value, grad.mul(-0.5)));
  EXPECT_EQ(parameters[0].grad.count_nonzero().item<std::int64_t>(), 0) << "a step clears them";
  const at::Tensor before = parameters[0].value.clone();
  Lars fresh(parameters, {});
  fresh.step(0.5);
  EXPECT_TRUE(at::equal(parameters[0].value, before));
}

TEST(Lars, StepsAlikeOnAnotherDevice) {
  std::vector<Parameter> here = head(), there = head();
  move_parameters(there, other_device());
  Lars on_cpu(here, {}), on_device(there, {});
  for (std::uint64_t step = 0; step < 3; ++step) {
    for (std::size_t i = 0; i < here.size(); ++i) {
      here[i].grad.copy_(noise(here[i].value.sizes(), step));
      there[i].grad.copy_(here[i].grad);
    }
    on_cpu.step(1.0), on_device.step(1.0);
  }
  for (std::size_t i = 0; i < here.size(); ++i)
    // fp32 norms summed in another order, on values of a few units.
    EXPECT_TRUE(at::allclose(there[i].value.cpu(), here[i].value, 1e-6, 1e-6));
}

TEST(Lars, GoesOnFromItsState) {
  std::vector<Parameter> a = head(), b = head();
  Lars whole(a, {}), first(b, {});
  const auto step = [](std::vector<Parameter>& p, Lars& lars, std::uint64_t seed) {
    for (Parameter& parameter : p) parameter.grad = noise(parameter.value.sizes(), seed);
    lars.step(1.0);
  };
  step(a, whole, 1);
  step(b, first, 1);
  Lars second(b, {});
  TensorFile file;
  for (const auto& [name, tensor] : first.state()) file.tensors.emplace_back(name, tensor.clone());
  second.load(file);
  step(a, whole, 2);
  step(b, second, 2);
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i].value, b[i].value));

  file.tensors.pop_back();
  try {
    second.load(file);
    ADD_FAILURE() << "a missing tensor passed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::checkpoint);
  }
}

}  // namespace
}  // namespace sgmae
