// The second eigenvector of one similarity graph, in fp32. No torch here.
#pragma once

#include <cstdint>
#include <vector>

#include "sgmae/ncut/options.h"

namespace sgmae {

// Memory that solves of the same size share; one per thread.
struct LanczosWorkspace {
  std::vector<float> weights, basis, scratch;
};

struct SecondEigenvector {
  bool converged = false;  // false: y is not to be used
  double eigenvalue = 0;   // lambda_2 of D^-1/2 W D^-1/2
  double gap = 0;          // lambda_2 - lambda_3, estimated
  double residual = 0;     // |S z - lambda_2 z|, measured, |z| = 1
  int steps = 0;           // matrix-vector products
};

// Finds y = D^-1/2 z, z the second unit eigenvector of S = D^-1/2 W D^-1/2, where W is `similarity`
// ([n, n], rows contiguous, symmetric) with the clamping of `options`. Writes y [n], its sign
// arbitrary. Lanczos from a fixed start, D^1/2 1 (the first eigenvector) deflated, every vector
// orthogonalised against all before it; stops when residual / gap bounds the error of z by 5e-5.
SecondEigenvector second_eigenvector(const float* similarity, std::int64_t n,
                                     const NcutOptions& options, LanczosWorkspace& workspace,
                                     float* y);

}  // namespace sgmae
