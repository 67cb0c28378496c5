// The linear probe on features computed once: multinomial logistic regression, solved exactly.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "sgmae/eval/linear_head.h"
#include "sgmae/optim/lbfgs.h"

namespace sgmae {

// Minimises mean cross-entropy + l2 / 2 |W|^2 (the bias is free) by L-BFGS from `solution`
// [classes, D+1] fp64, weights then bias. `features` [M, D] fp32 or fp64: the type in which matrix
// products are done. In scikit-learn's terms C = 1 / (l2 M).
LbfgsResult solve_logistic(const at::Tensor& features, const std::vector<std::int64_t>& labels,
                           double l2, at::Tensor& solution, const LbfgsOptions& options = {});

struct LogisticOptions {
  double l2 = -1;          // negative: chosen on a held-out tenth of the images
  std::uint64_t seed = 0;  // of the choice of that tenth
};

// How one strength of regularisation, learned on nine tenths, did on the held-out tenth.
struct LogisticTrial {
  double l2 = 0;
  double accuracy = 0, loss = 0;
};

struct LogisticFit {
  LinearHead head;  // its batch norm standardises features by the training images
  double l2 = 0;
  std::vector<LogisticTrial> trials;  // from strong to weak
  LbfgsResult solver;                 // of the fit on all images
};

// Standardises `features` [M, D] fp32, chooses l2 by held-out accuracy (at equal accuracy the lower
// held-out loss) and fits on all. Labels 0 .. classes-1.
LogisticFit fit_logistic(const at::Tensor& features, const std::vector<std::int64_t>& labels,
                         std::int64_t classes, const LogisticOptions& options = {});

// A tenth of the images (rounded), spread over the classes in proportion to their size and drawn
// from `seed`; sorted. A class is never held out whole; so where each has one image, none is.
std::vector<std::int64_t> held_out_tenth(const std::vector<std::int64_t>& labels,
                                         std::uint64_t seed);

}  // namespace sgmae
