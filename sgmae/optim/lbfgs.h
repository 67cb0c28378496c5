// Limited-memory BFGS with a line search for the strong Wolfe conditions (Nocedal & Wright 2006,
// algorithms 7.5, 3.5 and 3.6): minimises a smooth function of many variables to high accuracy.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace sgmae {

struct LbfgsOptions {
  int history = 10;  // pairs of steps and gradient changes that stand for the curvature
  int max_iterations = 1000;
  double tolerance = 1e-6;  // finished when no entry of the gradient is larger
  double rounding = 1e-13;  // relative error of the objective's values
};

struct LbfgsResult {
  double value = 0;
  double gradient = 0;  // largest entry, in absolute value
  int iterations = 0, evaluations = 0;
  bool converged = false;  // false: out of iterations, or no lower value can be told from rounding
};

// Value at `x`, whose gradient it writes into `gradient`; both of x's shape. May be infinite or NaN
// where it is not defined, but not at the start.
using Objective = std::function<double(const at::Tensor& x, at::Tensor& gradient)>;

// Moves `x` (fp64, contiguous) to a minimum. The value never rises by more than rounding. Throws
// Error(diverged) where it is not finite at the start.
LbfgsResult minimise(const Objective& objective, at::Tensor& x, const LbfgsOptions& options = {});

}  // namespace sgmae
