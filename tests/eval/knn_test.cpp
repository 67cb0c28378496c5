// Oracle: a slow exact k-NN in double, written in the plainest way, and cases solved by hand.
#include "sgmae/eval/knn.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "sgmae/base/error.h"
#include "sgmae/base/rng.h"
#include "tests/support/tensors.h"

namespace sgmae {
namespace {

using Labels = std::vector<std::int64_t>;

// Rows around one centre per class.
at::Tensor clustered(const Labels& labels, double spread, std::uint64_t seed) {
  const at::Tensor centres = noise({5, 16}, 7);
  at::Tensor out = noise({static_cast<std::int64_t>(labels.size()), 16}, seed).mul(spread);
  for (std::size_t i = 0; i < labels.size(); ++i)
    out.select(0, static_cast<std::int64_t>(i)).add_(centres.select(0, labels[i]));
  return out;
}

Labels cycle(std::int64_t count, std::int64_t classes) {
  Labels labels;
  for (std::int64_t i = 0; i < count; ++i) labels.push_back(i % classes);
  return labels;
}

Labels slow_knn(const at::Tensor& train, const Labels& labels, const at::Tensor& test,
                const KnnOptions& options) {
  const auto cosine = [&](std::int64_t q, std::int64_t m) {
    double dot = 0, a = 0, b = 0;
    for (std::int64_t d = 0; d < train.size(1); ++d) {
      const double x = test.data_ptr<float>()[q * train.size(1) + d];
      const double y = train.data_ptr<float>()[m * train.size(1) + d];
      dot += x * y, a += x * x, b += y * y;
    }
    return dot / std::sqrt(a * b);
  };
  Labels predicted;
  for (std::int64_t q = 0; q < test.size(0); ++q) {
    std::vector<std::pair<double, std::int64_t>> all;
    for (std::int64_t m = 0; m < train.size(0); ++m) all.emplace_back(-cosine(q, m), labels[m]);
    std::sort(all.begin(), all.end());
    std::map<std::int64_t, double> votes;
    for (std::int64_t i = 0; i < options.k; ++i)
      votes[all[i].second] +=
          options.temperature > 0 ? std::exp(-all[i].first / options.temperature) : 1;
    predicted.push_back(std::max_element(votes.begin(), votes.end(), [](auto& a, auto& b) {
                          return a.second < b.second;
                        })->first);
  }
  return predicted;
}

ClassificationCounts knn(const at::Tensor& train, const Labels& train_labels,
                         const at::Tensor& test, const Labels& test_labels,
                         const KnnOptions& options = {}) {
  return knn_classify(train, train_labels, test, test_labels, 5, {options})[0];
}

// Counts of given predictions.
ClassificationCounts counts_of(const Labels& predicted, const Labels& truth) {
  const at::Tensor scores = at::zeros({static_cast<std::int64_t>(predicted.size()), 5});
  for (std::size_t i = 0; i < predicted.size(); ++i)
    scores.data_ptr<float>()[static_cast<std::int64_t>(i) * 5 + predicted[i]] = 1;
  ClassificationCounts counts(5);
  counts.add(scores, truth);
  return counts;
}

// The whole confusion matrix; top-5 is 1 for all, since there are five classes.
TEST(Knn, EqualsTheSlowExactVersion) {
  const Labels train_labels = cycle(300, 5), test_labels = cycle(90, 5);
  const at::Tensor train = clustered(train_labels, 2.0, 1), test = clustered(test_labels, 2.0, 2);
  const std::vector<KnnOptions> votes{KnnOptions{}, KnnOptions{7, 0.0}, KnnOptions{1, 0.07}};
  const auto together = knn_classify(train, train_labels, test, test_labels, 5, votes);
  ASSERT_EQ(together.size(), votes.size());
  for (std::size_t i = 0; i < votes.size(); ++i) {
    const Labels slow = slow_knn(train, train_labels, test, votes[i]);
    // Exact: votes of these graphs are never closer than fp32 rounding of a cosine.
    EXPECT_EQ(together[i], counts_of(slow, test_labels)) << "k " << votes[i].k;
    EXPECT_EQ(together[i], knn(train, train_labels, test, test_labels, votes[i]));
    EXPECT_GT(together[i].top1(), 0.4);  // the task is hard, yet far from the chance of 0.2
  }
}

TEST(Knn, FindsItselfAtKOne) {
  const Labels labels = cycle(60, 3);
  const at::Tensor features = noise({60, 8}, 3);
  EXPECT_EQ(knn(features, labels, features, labels, {1, 0.07}).top1(), 1.0);
}

TEST(Knn, ScaleOfAFeatureDoesNotMatter) {
  const Labels labels = cycle(60, 5);
  const at::Tensor train = clustered(labels, 1.0, 4), test = clustered(labels, 1.0, 5);
  EXPECT_EQ(knn(train.mul(1000), labels, test.mul(1e-3), labels), knn(train, labels, test, labels));
}

TEST(Knn, RefusesWhatCannotBeClassified) {
  const at::Tensor features = noise({4, 8}, 3);
  const auto code = [&](const Labels& train, const Labels& test, std::int64_t k) {
    try {
      knn(features.narrow(0, 0, static_cast<std::int64_t>(train.size())), train,
          features.narrow(0, 0, static_cast<std::int64_t>(test.size())), test, {k, 0.07});
    } catch (const Error& error) {
      return error.code();
    }
    return ExitCode::done;
  };
  EXPECT_EQ(code({0, 1, -1, 0}, {0}, 1), ExitCode::data);
  EXPECT_EQ(code({0, 1}, {}, 1), ExitCode::data);
  EXPECT_EQ(code({0, 1}, {1}, 3), ExitCode::usage);
  EXPECT_EQ(code({0, 1}, {1}, 0), ExitCode::usage);
}

}  // namespace
}  // namespace sgmae
