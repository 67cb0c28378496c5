#include "sgmae/optim/lbfgs.h"

#include <ATen/ops/dot.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <optional>
#include <vector>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

// Sufficient decrease and curvature; the usual values for quasi-Newton directions.
constexpr double c1 = 1e-4, c2 = 0.9;
constexpr int most_trials = 30;

double inner(const at::Tensor& a, const at::Tensor& b) {
  return at::dot(a.view({-1}), b.view({-1})).item<double>();
}

double largest_entry(const at::Tensor& tensor) {
  return tensor.abs().max().item<double>();
}

// A point on the ray from x along the search direction.
struct Point {
  double step = 0, value = 0, slope = 0;
  at::Tensor gradient;

  bool finite() const { return std::isfinite(value) && std::isfinite(slope); }
};

// Where the cubic through both points' values and slopes is least, kept off the ends of the
// interval; its middle where there is no such cubic.
double between(const Point& a, const Point& b) {
  const double low = std::min(a.step, b.step), width = std::abs(a.step - b.step);
  double step = low + 0.5 * width;
  if (a.finite() && b.finite()) {
    const double d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step);
    const double square = d1 * d1 - a.slope * b.slope;
    if (square >= 0) {
      const double d2 = std::copysign(std::sqrt(square), b.step - a.step);
      const double cubic =
          b.step - (b.step - a.step) * (b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2);
      if (std::isfinite(cubic)) step = cubic;
    }
  }
  return std::clamp(step, low + 0.1 * width, low + 0.9 * width);
}

class LineSearch {
 public:
  // Values that differ by less than `noise` are not told apart.
  LineSearch(const std::function<Point(double)>& evaluate, const Point& start, double noise)
      : evaluate_(evaluate), start_(start), noise_(noise) {}

  // A point that satisfies the strong Wolfe conditions, or failing that the best one below the
  // start, or nothing.
  std::optional<Point> search(double first_step) {
    Point before = start_;
    double step = first_step;
    for (int trial = 0; trial < most_trials; ++trial, step *= 2) {
      Point now = evaluate_(step);
      if (too_high(now) || (trial > 0 && now.value > before.value + noise_))
        return zoom(before, now);
      if (flat_enough(now)) return now;
      if (now.slope >= 0) return zoom(now, before);
      before = now;
    }
    return before.value < start_.value - noise_ ? std::optional(before) : std::nullopt;
  }

 private:
  // No sufficient decrease. Where rounding hides the decrease, the slope tells of it: on a parabola
  // the two conditions are the same (Hager & Zhang 2005, "approximate Wolfe").
  bool too_high(const Point& p) const {
    if (!p.finite() || p.value > start_.value + noise_) return true;
    const bool decreased = p.value <= start_.value + c1 * p.step * start_.slope;
    const bool hidden = p.value >= start_.value - noise_;
    return !decreased && !(hidden && p.slope <= (2 * c1 - 1) * start_.slope);
  }
  bool flat_enough(const Point& p) const { return std::abs(p.slope) <= -c2 * start_.slope; }

  // Between `low`, the lowest point so far with sufficient decrease, and `high`.
  std::optional<Point> zoom(Point low, Point high) {
    for (int trial = 0; trial < most_trials; ++trial) {
      Point now = evaluate_(between(low, high));
      if (too_high(now) || now.value > low.value + noise_) {
        high = now;
        continue;
      }
      if (flat_enough(now)) return now;
      if (now.slope * (high.step - low.step) >= 0) high = low;
      low = now;
    }
    return low.step > 0 ? std::optional(low) : std::nullopt;
  }

  const std::function<Point(double)>& evaluate_;
  const Point& start_;
  double noise_;
};

// What the last steps told about the inverse Hessian.
class Curvature {
 public:
  explicit Curvature(int history) : history_(static_cast<std::size_t>(history)) {}

  void add(const at::Tensor& step, const at::Tensor& change) {
    const double product = inner(step, change);
    if (product <= 1e-12 * inner(change, change))
      return;  // no curvature to be learned from rounding
    pairs_.push_back({step, change, 1 / product});
    if (pairs_.size() > history_) pairs_.pop_front();
  }

  bool empty() const { return pairs_.empty(); }
  void clear() { pairs_.clear(); }

  // The inverse Hessian times -gradient, by the two-loop recursion.
  at::Tensor direction(const at::Tensor& gradient) const {
    at::Tensor q = gradient.neg();
    std::vector<double> alpha(pairs_.size());
    for (std::size_t i = pairs_.size(); i-- > 0;) {
      alpha[i] = pairs_[i].rho * inner(pairs_[i].step, q);
      q.sub_(pairs_[i].change, alpha[i]);
    }
    if (!pairs_.empty()) {
      const Pair& last = pairs_.back();
      q.div_(last.rho * inner(last.change, last.change));
    }
    for (std::size_t i = 0; i < pairs_.size(); ++i)
      q.add_(pairs_[i].step, alpha[i] - pairs_[i].rho * inner(pairs_[i].change, q));
    return q;
  }

 private:
  struct Pair {
    at::Tensor step, change;  // of x and of the gradient
    double rho;               // 1 / (step . change)
  };
  std::size_t history_;
  std::deque<Pair> pairs_;
};

}  // namespace

LbfgsResult minimise(const Objective& objective, at::Tensor& x, const LbfgsOptions& options) {
  SGMAE_ASSERT(x.scalar_type() == at::kDouble && x.is_contiguous());
  LbfgsResult result;
  Point here;
  here.gradient = at::empty_like(x);
  here.value = objective(x, here.gradient);
  result.evaluations = 1;
  check(std::isfinite(here.value), ExitCode::diverged,
        "the features are not finite, so nothing can be fitted to them: the model's training has "
        "diverged; use an earlier checkpoint");

  Curvature curvature(options.history);
  while (true) {
    result.value = here.value;
    result.gradient = largest_entry(here.gradient);
    result.converged = result.gradient <= options.tolerance;
    if (result.converged || result.iterations == options.max_iterations) return result;

    const at::Tensor direction = curvature.direction(here.gradient);
    here.step = 0;
    here.slope = inner(direction, here.gradient);
    const std::function<Point(double)> evaluate = [&](double step) {
      Point point;
      point.step = step;
      point.gradient = at::empty_like(x);
      point.value = objective(x.add(direction, step), point.gradient);
      point.slope = inner(direction, point.gradient);
      ++result.evaluations;
      return point;
    };
    // Without curvature the direction has the gradient's length, which says nothing of the scale.
    const double first_step =
        curvature.empty() ? std::min(1.0, 1 / std::sqrt(inner(direction, direction))) : 1.0;
    std::optional<Point> next;
    if (here.slope < 0) {
      const double noise = options.rounding * std::abs(here.value);
      next = LineSearch(evaluate, here, noise).search(first_step);
    }
    if (!next) {
      if (curvature.empty()) return result;  // not even along the gradient
      curvature.clear();
      continue;
    }
    x.add_(direction, next->step);
    curvature.add(direction.mul(next->step), next->gradient.sub(here.gradient));
    here = *next;
    ++result.iterations;
  }
}

}  // namespace sgmae
