#include "sgmae/eval/knn.h"

#include <ATen/ops/mm.h>
#include <ATen/ops/topk.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

constexpr std::int64_t queries_at_once = 1024;

at::Tensor unit_rows(const at::Tensor& features) {
  return features.div(features.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12));
}

void check_labels(const std::vector<std::int64_t>& labels, const at::Tensor& features,
                  const char* which) {
  SGMAE_ASSERT(features.dim() == 2 && features.size(0) == static_cast<std::int64_t>(labels.size()));
  check(!labels.empty(), ExitCode::data, "k-NN: the ", which, " set is empty");
  check(*std::min_element(labels.begin(), labels.end()) >= 0, ExitCode::data, "k-NN: the ", which,
        " set holds images without a class; sort them into one folder per class");
}

// The class with the most votes among one query's neighbours.
std::int64_t vote(const float* similarity, const std::int64_t* neighbour,
                  const std::vector<std::int64_t>& labels, const KnnOptions& options,
                  std::vector<double>& votes) {
  std::fill(votes.begin(), votes.end(), 0.0);
  for (std::int64_t i = 0; i < options.k; ++i) {
    // Relative to the nearest, so that small temperatures do not overflow.
    const double weight = options.temperature > 0
                              ? std::exp((similarity[i] - similarity[0]) / options.temperature)
                              : 1.0;
    votes[static_cast<std::size_t>(labels[static_cast<std::size_t>(neighbour[i])])] += weight;
  }
  return std::max_element(votes.begin(), votes.end()) - votes.begin();
}

void score(const std::vector<std::int64_t>& truth, std::size_t classes, KnnResult& result) {
  std::vector<double> right(classes), count(classes);
  for (std::size_t i = 0; i < truth.size(); ++i) {
    count[static_cast<std::size_t>(truth[i])] += 1;
    right[static_cast<std::size_t>(truth[i])] += result.predicted[i] == truth[i];
  }
  double total = 0, sum = 0, present = 0;
  result.per_class.assign(classes, std::numeric_limits<double>::quiet_NaN());
  for (std::size_t c = 0; c < classes; ++c) {
    total += right[c];
    if (count[c] == 0) continue;
    result.per_class[c] = right[c] / count[c];
    sum += result.per_class[c];
    present += 1;
  }
  result.accuracy = total / static_cast<double>(truth.size());
  result.class_mean = sum / present;
}

}  // namespace

KnnResult knn_classify(const at::Tensor& train, const std::vector<std::int64_t>& train_labels,
                       const at::Tensor& test, const std::vector<std::int64_t>& test_labels,
                       const KnnOptions& options) {
  check_labels(train_labels, train, "training");
  check_labels(test_labels, test, "test");
  check(options.k >= 1 && options.k <= train.size(0), ExitCode::usage, "k must lie in 1 .. ",
        train.size(0), " (the training images), not be ", options.k);
  const std::size_t classes = 1 + static_cast<std::size_t>(std::max(
                                      *std::max_element(train_labels.begin(), train_labels.end()),
                                      *std::max_element(test_labels.begin(), test_labels.end())));
  const at::Tensor keys = unit_rows(train).t().contiguous();  // [D, M]
  KnnResult result;
  std::vector<double> votes(classes);
  for (std::int64_t first = 0; first < test.size(0); first += queries_at_once) {
    const std::int64_t count = std::min(queries_at_once, test.size(0) - first);
    const at::Tensor similarity = at::mm(unit_rows(test.narrow(0, first, count)), keys);
    const auto [values, indices] = at::topk(similarity, options.k, 1);
    for (std::int64_t q = 0; q < count; ++q)
      result.predicted.push_back(vote(values.const_data_ptr<float>() + q * options.k,
                                      indices.const_data_ptr<std::int64_t>() + q * options.k,
                                      train_labels, options, votes));
  }
  score(test_labels, classes, result);
  return result;
}

}  // namespace sgmae
