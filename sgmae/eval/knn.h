// k-nearest-neighbour classification on frozen features: the quickest look at what an encoder
// knows.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "sgmae/eval/metrics.h"

namespace sgmae {

struct KnnOptions {
  std::int64_t k = 20;
  double temperature = 0.07;  // each neighbour votes exp(cosine / temperature); 0: one vote each
};

// Features with classes, searched by cosine similarity.
class LabelledFeatures {
 public:
  // features [M, D] fp32, labels 0 .. classes-1. Throws Error(data) for unlabelled ones (below 0).
  LabelledFeatures(const at::Tensor& features, std::vector<std::int64_t> labels,
                   std::int64_t classes);

  std::int64_t size() const { return static_cast<std::int64_t>(labels_.size()); }
  std::int64_t classes() const { return classes_; }

  // What the nearest of them to each of `queries` [Q, D] fp32 vote: [Q, classes] fp64 for each of
  // `votes`, all from one exact search.
  std::vector<at::Tensor> votes(const at::Tensor& queries,
                                const std::vector<KnnOptions>& votes) const;

 private:
  at::Tensor keys_;  // [D, M], of unit length
  std::vector<std::int64_t> labels_;
  std::int64_t classes_;
};

// Exact search by cosine similarity, in batches. `train` [M, D] and `test` [Q, D] fp32, labels 0 ..
// classes-1. One count for each of `votes`, all from one search. Equal votes go to the lower class.
// Throws Error(data) for unlabelled images (label < 0), Error(usage) for a k that is not in 1 .. M.
std::vector<ClassificationCounts> knn_classify(const at::Tensor& train,
                                               const std::vector<std::int64_t>& train_labels,
                                               const at::Tensor& test,
                                               const std::vector<std::int64_t>& test_labels,
                                               std::int64_t classes,
                                               const std::vector<KnnOptions>& votes);

}  // namespace sgmae
