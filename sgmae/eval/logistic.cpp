#include "sgmae/eval/logistic.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/var_mean.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sgmae/base/error.h"
#include "sgmae/base/progress.h"
#include "sgmae/base/rng.h"
#include "sgmae/eval/metrics.h"

namespace sgmae {
namespace {

using Labels = std::vector<std::int64_t>;

constexpr std::int64_t logits_at_once = 1 << 24;
// Strengths tried, from strong to weak, each a warm start for the next. Once held-out accuracy has
// not risen for `patience` of them, weaker ones are not tried.
constexpr double strongest = 1.0, weakest = 1e-7, ratio = 0.31622776601683794;  // 10^-1/2
constexpr int patience = 3;
// Cross-entropy is of order 1 and features are standardised, so a slope below 1e-5 is flat; to tell
// strengths apart ten times that will do. Values come from fp32 products.
constexpr LbfgsOptions solver_options{
    .history = 10, .max_iterations = 1000, .tolerance = 1e-5, .rounding = 1e-7};
constexpr LbfgsOptions trial_options{
    .history = 10, .max_iterations = 1000, .tolerance = 1e-4, .rounding = 1e-7};

// Loss -log share of each image's own class, summed; `share` [B, classes] becomes softmax -
// one-hot.
template <class T>
double take_labels(at::Tensor& share, const at::Tensor& log_share, const std::int64_t* labels) {
  double loss = 0;
  for (std::int64_t i = 0; i < share.size(0); ++i) {
    const std::int64_t at = i * share.size(1) + labels[i];
    loss -= log_share.const_data_ptr<T>()[at];
    share.mutable_data_ptr<T>()[at] -= 1;
  }
  return loss;
}

at::Tensor rows(const at::Tensor& tensor, const Labels& which) {
  return at::index_select(tensor, 0, at::tensor(which, at::kLong));
}

Labels pick(const Labels& labels, const Labels& which) {
  Labels picked;
  for (const std::int64_t i : which) picked.push_back(labels[static_cast<std::size_t>(i)]);
  return picked;
}

// All positions 0 .. count-1 but those of `without`, which is sorted.
Labels others(std::int64_t count, const Labels& without) {
  Labels all(static_cast<std::size_t>(count)), rest;
  std::iota(all.begin(), all.end(), 0);
  std::set_difference(all.begin(), all.end(), without.begin(), without.end(),
                      std::back_inserter(rest));
  return rest;
}

at::Tensor logits_of(const at::Tensor& features, const at::Tensor& solution) {
  const at::Tensor weight = solution.narrow(1, 0, features.size(1)).to(features.scalar_type());
  const at::Tensor bias = solution.select(1, features.size(1)).to(features.scalar_type());
  return at::addmm(bias, features, weight.t());
}

LogisticTrial judge(const at::Tensor& features, const Labels& labels, const at::Tensor& solution,
                    double l2) {
  const at::Tensor logits = logits_of(features, solution);
  ClassificationCounts counts(solution.size(0));
  counts.add(logits, labels);
  const at::Tensor log_share = at::log_softmax(logits, 1).contiguous();
  double loss = 0;
  for (std::size_t i = 0; i < labels.size(); ++i)
    loss -= log_share
                .const_data_ptr<float>()[static_cast<std::int64_t>(i) * logits.size(1) + labels[i]];
  return {l2, counts.top1(), loss / static_cast<double>(labels.size())};
}

// The strength with the best held-out accuracy; `trials` gets all that were tried, `start` its
// solution.
double choose_l2(const at::Tensor& features, const Labels& labels, const Labels& held_out,
                 std::vector<LogisticTrial>& trials, at::Tensor& start) {
  const Labels rest = others(features.size(0), held_out);
  const at::Tensor train = rows(features, rest), test = rows(features, held_out);
  const Labels train_labels = pick(labels, rest), test_labels = pick(labels, held_out);
  at::Tensor solution = start.clone();
  std::size_t best = 0;
  Progress progress("strengths of regularisation tried",
                    std::lround(std::log(weakest / strongest) / std::log(ratio)) + 1);
  for (double l2 = strongest; l2 > weakest / 2; l2 *= ratio) {
    progress.show(static_cast<std::int64_t>(trials.size()));
    solve_logistic(train, train_labels, l2, solution, trial_options);
    trials.push_back(judge(test, test_labels, solution, l2));
    const LogisticTrial &last = trials.back(), &champion = trials[best];
    if (trials.size() == 1 || last.accuracy > champion.accuracy ||
        (last.accuracy == champion.accuracy && last.loss < champion.loss)) {
      best = trials.size() - 1;
      start.copy_(solution);
    }
    if (trials.size() - best > patience) break;
  }
  return trials[best].l2;
}

}  // namespace

LbfgsResult solve_logistic(const at::Tensor& features, const Labels& labels, double l2,
                           at::Tensor& solution, const LbfgsOptions& options) {
  const std::int64_t images = features.size(0), dim = features.size(1);
  const std::int64_t classes = solution.size(0);
  SGMAE_ASSERT(images == static_cast<std::int64_t>(labels.size()) && solution.size(1) == dim + 1);
  const std::int64_t chunk = std::max<std::int64_t>(1, logits_at_once / classes);
  const bool in_double = features.scalar_type() == at::kDouble;

  const Objective objective = [&](const at::Tensor& x, at::Tensor& gradient) {
    gradient.zero_();
    at::Tensor weight_slope = gradient.narrow(1, 0, dim), bias_slope = gradient.select(1, dim);
    double loss = 0;
    for (std::int64_t first = 0; first < images; first += chunk) {
      const std::int64_t count = std::min(chunk, images - first);
      const at::Tensor part = features.narrow(0, first, count);
      const at::Tensor log_share = at::log_softmax(logits_of(part, x), 1).contiguous();
      at::Tensor slope = log_share.exp();
      const std::int64_t* own = labels.data() + first;
      loss += in_double ? take_labels<double>(slope, log_share, own)
                        : take_labels<float>(slope, log_share, own);
      weight_slope.add_(at::mm(slope.t(), part));
      bias_slope.add_(slope.sum({0}, /*keepdim=*/false, at::kDouble));
    }
    const at::Tensor weight = x.narrow(1, 0, dim);
    gradient.div_(static_cast<double>(images));
    weight_slope.add_(weight, l2);
    const double size = weight.norm().item<double>();
    return loss / static_cast<double>(images) + 0.5 * l2 * size * size;
  };
  return minimise(objective, solution, options);
}

LogisticFit fit_logistic(const at::Tensor& features, const Labels& labels, std::int64_t classes,
                         const LogisticOptions& options) {
  SGMAE_ASSERT(features.dim() == 2 && features.scalar_type() == at::kFloat);
  LogisticFit fit{.head = LinearHead(features.size(1), classes, 0), .trials = {}, .solver = {}};
  const auto [variance, mean] = at::var_mean(features, {0}, /*unbiased=*/false);
  fit.head.set_statistics(mean, variance);
  const at::Tensor standard = features.sub(mean).div(variance.add(LinearHead::eps).sqrt());

  fit.l2 = options.l2;
  at::Tensor solution = at::zeros({classes, features.size(1) + 1}, at::kDouble);
  if (options.l2 < 0) {
    const Labels held_out = held_out_tenth(labels, options.seed);
    check(!held_out.empty(), ExitCode::data,
          "no class has a second image, so none can be held out to choose the regularisation; "
          "set it with --l2, e.g. 1e-3");
    fit.l2 = choose_l2(standard, labels, held_out, fit.trials, solution);
  }
  fit.solver = solve_logistic(standard, labels, fit.l2, solution, solver_options);
  fit.head.parameters()[0].value.copy_(solution.narrow(1, 0, features.size(1)));
  fit.head.parameters()[1].value.copy_(solution.select(1, features.size(1)));
  return fit;
}

Labels held_out_tenth(const Labels& labels, std::uint64_t seed) {
  // In order of class, at random within each; then every tenth one, from a random first.
  Rng rng(seed, 0, 0, Purpose::probe);
  Labels order = rng.permutation(static_cast<std::int64_t>(labels.size()));
  const auto label = [&](std::int64_t i) { return labels[static_cast<std::size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return label(a) < label(b); });
  // The first of each class stays, so that the rest still knows it.
  Labels candidates;
  for (std::size_t i = 1; i < order.size(); ++i)
    if (label(order[i]) == label(order[i - 1])) candidates.push_back(order[i]);
  Labels held_out;
  const double wanted = std::max(1.0, std::round(static_cast<double>(labels.size()) / 10));
  const double stride = std::max(1.0, static_cast<double>(candidates.size()) / wanted);
  for (double at = rng.uniform() * stride; at < static_cast<double>(candidates.size());
       at += stride)
    held_out.push_back(candidates[static_cast<std::size_t>(at)]);
  std::sort(held_out.begin(), held_out.end());
  return held_out;
}

}  // namespace sgmae
