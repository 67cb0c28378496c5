// Oracles: scikit-learn's solution (tests/golden/logistic.py); and the gradient of the objective,
// written out in double: the objective is strongly convex, so it bounds the distance to the
// optimum.
#include "sgmae/eval/logistic.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "sgmae/base/error.h"
#include "sgmae/base/rng.h"
#include "sgmae/eval/metrics.h"

namespace sgmae {
namespace {

using Labels = std::vector<std::int64_t>;

TEST(Logistic, EqualsScikitLearn) {
  constexpr std::int64_t images = 60, dim = 4;
  const at::Tensor features = at::zeros({images, dim}, at::kDouble);
  Labels labels;
  for (std::int64_t i = 0; i < images; ++i) {
    labels.push_back(i * i % 7 % 3);
    for (std::int64_t d = 0; d < dim; ++d)
      features.data_ptr<double>()[i * dim + d] =
          std::sin(1.7 * static_cast<double>(i) + 2.3 * static_cast<double>(d) +
                   0.5 * static_cast<double>(i * d)) +
          (d == labels.back() ? 0.8 : 0.0);
  }
  at::Tensor solution = at::zeros({3, dim + 1}, at::kDouble);
  const LbfgsResult result = solve_logistic(features, labels, 0.01, solution, {.tolerance = 1e-10});
  EXPECT_TRUE(result.converged);
  EXPECT_NEAR(result.value, 0.4881446790118173, 1e-12);
  const double expected[] = {0.739579390,  -0.428510561, -2.256897546, 0.269963292,  -0.929451519,
                             -0.231834192, 0.920606238,  0.018692337,  -0.068451601, 1.299198484,
                             -0.507745198, -0.492095677, 2.238205210,  -0.201511691, -0.369746966};
  for (std::int64_t c = 0; c < 3; ++c) {
    const double* row = solution.data_ptr<double>() + c * (dim + 1);
    // Nine printed digits, and slopes of 1e-10 over curvatures of 0.01 and more.
    for (std::int64_t d = 0; d <= dim; ++d)
      EXPECT_NEAR(row[d], expected[c * (dim + 1) + d], 1e-8) << c << ", " << d;
  }
}

// Rows around one centre per class, in a badly scaled and shifted space.
at::Tensor clustered(const Labels& labels, std::int64_t dim, double spread, std::uint64_t seed) {
  at::Tensor out = at::empty({static_cast<std::int64_t>(labels.size()), dim});
  Rng noise(seed, 0, 0, Purpose::probe);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    Rng centre(1, 0, static_cast<std::uint64_t>(labels[i]), Purpose::probe);
    for (std::int64_t d = 0; d < dim; ++d)
      out.data_ptr<float>()[static_cast<std::int64_t>(i) * dim + d] = static_cast<float>(
          (centre.normal() + spread * noise.normal()) * std::pow(3.0, d % 5) + 10);
  }
  return out;
}

Labels cycle(std::int64_t count, std::int64_t classes) {
  Labels labels;
  for (std::int64_t i = 0; i < count; ++i) labels.push_back(i % classes);
  return labels;
}

// Largest entry of the gradient of mean cross-entropy + l2 / 2 |W|^2, in double from the head.
double slow_gradient(LinearHead& head, const at::Tensor& features, const Labels& labels,
                     double l2) {
  const std::int64_t classes = head.classes(), dim = features.size(1);
  const auto mean = head.tensors()[0].second, variance = head.tensors()[1].second;
  std::vector<double> slope(static_cast<std::size_t>(classes * (dim + 1)));
  const float* weight = head.parameters()[0].value.data_ptr<float>();
  const float* bias = head.parameters()[1].value.data_ptr<float>();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    std::vector<double> x(static_cast<std::size_t>(dim)), share(static_cast<std::size_t>(classes));
    for (std::int64_t d = 0; d < dim; ++d)
      x[d] = (features.data_ptr<float>()[static_cast<std::int64_t>(i) * dim + d] -
              mean.data_ptr<float>()[d]) /
             std::sqrt(variance.data_ptr<float>()[d] + LinearHead::eps);
    double sum = 0;
    for (std::int64_t c = 0; c < classes; ++c) {
      double logit = bias[c];
      for (std::int64_t d = 0; d < dim; ++d) logit += weight[c * dim + d] * x[d];
      sum += share[c] = std::exp(logit);
    }
    for (std::int64_t c = 0; c < classes; ++c) {
      const double s = (share[c] / sum - (c == labels[i])) / static_cast<double>(labels.size());
      for (std::int64_t d = 0; d < dim; ++d) slope[c * (dim + 1) + d] += s * x[d];
      slope[c * (dim + 1) + dim] += s;
    }
  }
  double largest = 0;
  for (std::int64_t c = 0; c < classes; ++c)
    for (std::int64_t d = 0; d <= dim; ++d)
      largest = std::max(
          largest, std::abs(slope[c * (dim + 1) + d] + (d < dim ? l2 * weight[c * dim + d] : 0)));
  return largest;
}

TEST(Logistic, FitsToTheOptimumOfTheStandardisedProblem) {
  const Labels labels = cycle(240, 6);
  const at::Tensor features = clustered(labels, 16, 1.5, 5);
  LogisticFit fit = fit_logistic(features, labels, 6, {.l2 = 1e-3});
  EXPECT_TRUE(fit.solver.converged);
  EXPECT_TRUE(fit.trials.empty());
  // The solver stops at 1e-5; rounding standardised features and weights to fp32 adds some 1e-6.
  EXPECT_LT(slow_gradient(fit.head, features, labels, 1e-3), 2e-5);
}

TEST(Logistic, ChoosesTheStrengthOnAHeldOutTenth) {
  const Labels labels = cycle(300, 5), test_labels = cycle(200, 5);
  const at::Tensor train = clustered(labels, 40, 4.0, 2), test = clustered(test_labels, 40, 4.0, 3);
  LogisticFit fit = fit_logistic(train, labels, 5);
  ASSERT_GE(fit.trials.size(), 4u);
  const auto best = std::max_element(
      fit.trials.begin(), fit.trials.end(), [](const LogisticTrial& a, const LogisticTrial& b) {
        return a.accuracy < b.accuracy || (a.accuracy == b.accuracy && a.loss > b.loss);
      });
  EXPECT_EQ(fit.l2, best->l2);
  for (std::size_t i = 1; i < fit.trials.size(); ++i)
    EXPECT_LT(fit.trials[i].l2, fit.trials[i - 1].l2);
  // The chosen strength is not worse on new images than hardly any regularisation, by more than two
  // standard errors of 200 images (7 %); noise this strong makes it better.
  const auto accuracy = [&](const LogisticFit& f) {
    ClassificationCounts counts(5);
    counts.add(f.head.scores(test), test_labels);
    return counts.top1();
  };
  EXPECT_GT(accuracy(fit), accuracy(fit_logistic(train, labels, 5, {.l2 = 1e-6})) - 0.07);
  EXPECT_GT(accuracy(fit), 0.5);
}

TEST(Logistic, SaysTheSameTwice) {
  const Labels labels = cycle(100, 4);
  const at::Tensor features = clustered(labels, 8, 2.0, 4);
  LogisticFit a = fit_logistic(features, labels, 4), b = fit_logistic(features, labels, 4);
  EXPECT_EQ(a.l2, b.l2);
  EXPECT_TRUE(at::equal(a.head.scores(features), b.head.scores(features)));
}

TEST(Logistic, BearsConstantFeatures) {
  const Labels labels = cycle(60, 3);
  at::Tensor features = clustered(labels, 8, 1.0, 4);
  features.select(1, 3).fill_(7.0);
  const LogisticFit fit = fit_logistic(features, labels, 3, {.l2 = 1e-3});
  EXPECT_TRUE(fit.solver.converged);
  EXPECT_TRUE(fit.head.scores(features).isfinite().all().item<bool>());
}

TEST(HeldOutTenth, IsSpreadOverTheClasses) {
  Labels labels;  // classes of 1, 2, 30, 167 images
  for (const auto& [label, count] : {std::pair{0, 1}, {1, 2}, {2, 30}, {3, 167}})
    labels.insert(labels.end(), static_cast<std::size_t>(count), label);
  std::set<std::int64_t> seen;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Labels held_out = held_out_tenth(labels, seed);
    EXPECT_EQ(held_out, held_out_tenth(labels, seed));
    EXPECT_NEAR(static_cast<double>(held_out.size()), 20, 1);
    std::vector<int> of_class(4);
    for (const std::int64_t i : held_out) ++of_class[static_cast<std::size_t>(labels[i])];
    EXPECT_EQ(of_class[0], 0);  // a class is never held out whole
    EXPECT_LE(of_class[1], 1);
    EXPECT_NEAR(of_class[2], 3, 1);
    EXPECT_NEAR(of_class[3], 17, 1);
    seen.insert(held_out.begin(), held_out.end());
  }
  EXPECT_GT(seen.size(), 100u);  // seeds choose different images
}

TEST(HeldOutTenth, IsEmptyForOneImageClassesAndThatIsRefused) {
  EXPECT_TRUE(held_out_tenth({0, 1, 2}, 0).empty());
  EXPECT_EQ(held_out_tenth({0, 0, 1}, 0).size(), 1u);
  try {
    fit_logistic(clustered({0, 1, 2}, 4, 1, 1), {0, 1, 2}, 3);
    ADD_FAILURE() << "one-image classes passed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::data);
  }
  EXPECT_NO_THROW(fit_logistic(clustered({0, 1, 2}, 4, 1, 1), {0, 1, 2}, 3, {.l2 = 1e-3}));
}

}  // namespace
}  // namespace sgmae
