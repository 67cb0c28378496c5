// k-nearest-neighbour classification on frozen features: the quickest look at what an encoder
// knows.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace sgmae {

struct KnnOptions {
  std::int64_t k = 20;
  double temperature = 0.07;  // each neighbour votes exp(cosine / temperature); 0: one vote each
};

struct KnnResult {
  double accuracy = 0;                  // share of test images that are right
  double class_mean = 0;                // mean of the classes' own shares (for unbalanced sets)
  std::vector<double> per_class;        // NaN for classes without test images
  std::vector<std::int64_t> predicted;  // [test]
};

// Exact search by cosine similarity, in batches. `train` [M, D] and `test` [Q, D] fp32, labels 0 …
// . Ties go to the lower class. Throws Error(data) for unlabelled images (label < 0), Error(usage)
// for a k that is not in 1 .. M.
KnnResult knn_classify(const at::Tensor& train, const std::vector<std::int64_t>& train_labels,
                       const at::Tensor& test, const std::vector<std::int64_t>& test_labels,
                       const KnnOptions& options = {});

}  // namespace sgmae
