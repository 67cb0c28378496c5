#include "sgmae/eval/knn.h"

#include <ATen/ops/mm.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/base/progress.h"

namespace sgmae {
namespace {

constexpr std::int64_t similarities_at_once = 1 << 26;  // 256 MB

at::Tensor unit_rows(const at::Tensor& features) {
  return features.div(features.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12));
}

void check_labels(const std::vector<std::int64_t>& labels, const at::Tensor& features,
                  const char* which) {
  SGMAE_ASSERT(features.dim() == 2 && features.size(0) == static_cast<std::int64_t>(labels.size()));
  check(!labels.empty(), ExitCode::data, "k-NN: the ", which, " set is empty");
  check(*std::min_element(labels.begin(), labels.end()) >= 0, ExitCode::data, "k-NN: the ", which,
        " set has images without a label; sort them into one folder per class");
}

// Adds the votes of one query's nearest neighbours to votes [classes].
void vote(const float* similarity, const std::int64_t* neighbour,
          const std::vector<std::int64_t>& labels, const KnnOptions& options, double* votes) {
  for (std::int64_t i = 0; i < options.k; ++i) {
    // Relative to the nearest, so that small temperatures do not overflow.
    const double weight = options.temperature > 0
                              ? std::exp((similarity[i] - similarity[0]) / options.temperature)
                              : 1.0;
    votes[labels[static_cast<std::size_t>(neighbour[i])]] += weight;
  }
}

}  // namespace

LabelledFeatures::LabelledFeatures(const at::Tensor& features, std::vector<std::int64_t> labels,
                                   std::int64_t classes)
    : labels_(std::move(labels)), classes_(classes) {
  check_labels(labels_, features, "training");
  SGMAE_ASSERT(*std::max_element(labels_.begin(), labels_.end()) < classes);
  keys_ = unit_rows(features).t().contiguous();
}

std::vector<at::Tensor> LabelledFeatures::votes(const at::Tensor& queries,
                                                const std::vector<KnnOptions>& votes) const {
  std::int64_t most = 1;
  for (const KnnOptions& options : votes) most = std::max(most, options.k);
  SGMAE_ASSERT(most <= size());
  const std::int64_t all = queries.size(0),
                     at_once = std::max<std::int64_t>(1, similarities_at_once / size());
  std::vector<at::Tensor> scores;
  for (std::size_t i = 0; i < votes.size(); ++i)
    scores.push_back(at::zeros({all, classes_}, at::kDouble));
  Progress progress("neighbours", all);
  for (std::int64_t first = 0; first < all; first += at_once) {
    progress.show(first);
    const std::int64_t count = std::min(at_once, all - first);
    const at::Tensor similarity = at::mm(unit_rows(queries.narrow(0, first, count)), keys_);
    const auto [values, indices] = at::topk(similarity, most, 1);
    for (std::size_t i = 0; i < votes.size(); ++i)
      for (std::int64_t q = 0; q < count; ++q)
        vote(values.const_data_ptr<float>() + q * most,
             indices.const_data_ptr<std::int64_t>() + q * most, labels_, votes[i],
             scores[i].mutable_data_ptr<double>() + (first + q) * classes_);
  }
  return scores;
}

std::vector<ClassificationCounts> knn_classify(const at::Tensor& train,
                                               const std::vector<std::int64_t>& train_labels,
                                               const at::Tensor& test,
                                               const std::vector<std::int64_t>& test_labels,
                                               std::int64_t classes,
                                               const std::vector<KnnOptions>& votes) {
  const LabelledFeatures keys(train, train_labels, classes);
  check_labels(test_labels, test, "test");
  for (const KnnOptions& options : votes)
    check(options.k >= 1 && options.k <= keys.size(), ExitCode::usage, "k must be between 1 and ",
          keys.size(), " (the training images that can be read), but is ", options.k);
  std::vector<ClassificationCounts> counts(votes.size(), ClassificationCounts(classes));
  const std::vector<at::Tensor> scores = keys.votes(test, votes);
  for (std::size_t i = 0; i < votes.size(); ++i) counts[i].add(scores[i], test_labels);
  return counts;
}

}  // namespace sgmae
