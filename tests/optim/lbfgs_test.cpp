// Oracle: minima known in closed form.
#include "sgmae/optim/lbfgs.h"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace sgmae {
namespace {

// Sum of c_i (x_i - i)^2 / 2 with c from 1 to `condition`: minimum 0 at x_i = i.
Objective quadratic(std::int64_t n, double condition) {
  return [=](const at::Tensor& x, at::Tensor& gradient) {
    double value = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      const double c = std::pow(condition, static_cast<double>(i) / 29);
      const double d = x.data_ptr<double>()[i] - static_cast<double>(i);
      value += 0.5 * c * d * d;
      gradient.data_ptr<double>()[i] = c * d;
    }
    return value;
  };
}

TEST(Lbfgs, FindsTheMinimumOfAQuadratic) {
  at::Tensor x = at::zeros({30}, at::kDouble);
  const LbfgsResult result = minimise(quadratic(30, 1e4), x, {.tolerance = 1e-9});
  EXPECT_TRUE(result.converged);
  EXPECT_LE(result.gradient, 1e-9);
  // The least curvature is 1, so no coordinate is further off than the gradient is large.
  for (std::int64_t i = 0; i < 30; ++i)
    EXPECT_NEAR(x.data_ptr<double>()[i], static_cast<double>(i), 1e-9);
  EXPECT_LT(result.evaluations, 1000);  // SciPy 1.17 L-BFGS-B takes 946 with as much history
}

// Rosenbrock's valley, minimum 0 at (1, 1): the direction must follow a bend.
TEST(Lbfgs, FollowsACurvedValleyAndNeverRises) {
  double last = std::numeric_limits<double>::infinity();
  at::Tensor x = at::zeros({2}, at::kDouble);
  x.data_ptr<double>()[0] = -1.2;
  x.data_ptr<double>()[1] = 1;
  const Objective rosenbrock = [](const at::Tensor& at, at::Tensor& gradient) {
    const double a = at.data_ptr<double>()[0], b = at.data_ptr<double>()[1];
    gradient.data_ptr<double>()[0] = -2 * (1 - a) - 400 * a * (b - a * a);
    gradient.data_ptr<double>()[1] = 200 * (b - a * a);
    return (1 - a) * (1 - a) + 100 * (b - a * a) * (b - a * a);
  };
  for (int stop = 1; stop < 60; ++stop) {  // the values after 1, 2, … iterations
    at::Tensor y = x.clone();
    const LbfgsResult result =
        minimise(rosenbrock, y, {.max_iterations = stop, .tolerance = 1e-10});
    EXPECT_LE(result.value, last);
    last = result.value;
    if (!result.converged) continue;
    EXPECT_NEAR(y.data_ptr<double>()[0], 1, 1e-9);
    EXPECT_NEAR(y.data_ptr<double>()[1], 1, 1e-9);
    return;
  }
  ADD_FAILURE() << "not converged in 60 iterations";
}

// x - log x is not defined for x <= 0, where the first steps would lead; minimum 1 at 1.
TEST(Lbfgs, StepsBackFromWhereTheValueIsNotFinite) {
  at::Tensor x = at::full({1}, 1e-3, at::kDouble);
  const LbfgsResult result = minimise(
      [](const at::Tensor& at, at::Tensor& gradient) {
        const double v = at.data_ptr<double>()[0];
        gradient.data_ptr<double>()[0] = 1 - 1 / v;
        return v > 0 ? v - std::log(v) : std::nan("");
      },
      x, {.tolerance = 1e-9});
  EXPECT_TRUE(result.converged);
  EXPECT_NEAR(x.data_ptr<double>()[0], 1, 1e-8);
}

TEST(Lbfgs, StopsWhereRoundingHidesAllDescent) {
  // The value is constant, the gradient says otherwise: what a noisy objective looks like.
  at::Tensor x = at::zeros({3}, at::kDouble);
  const LbfgsResult result = minimise(
      [](const at::Tensor&, at::Tensor& gradient) {
        gradient.fill_(1.0);
        return 5.0;
      },
      x);
  EXPECT_FALSE(result.converged);
  EXPECT_EQ(result.value, 5.0);
  EXPECT_EQ(x.abs().max().item<double>(), 0);
}

TEST(Lbfgs, AStartAtTheMinimumTakesNoStep) {
  at::Tensor x = at::zeros({1}, at::kDouble);
  const LbfgsResult result = minimise(quadratic(1, 1), x);
  EXPECT_TRUE(result.converged);
  EXPECT_EQ(result.iterations, 0);
  EXPECT_EQ(result.evaluations, 1);
}

}  // namespace
}  // namespace sgmae
