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
