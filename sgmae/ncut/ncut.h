// Normalised cut of similarity graphs into two parts (Shi & Malik 2000; paper, section 3.1).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "sgmae/ncut/options.h"

namespace sgmae {

// All on the CPU. A degenerate image (see bipartition) has zeros in every tensor.
struct Bipartition {
  at::Tensor
      eigenvector;  // [B, N] fp32: y_1 with y' D y = 1, signed so that argmax |y| is positive
  at::Tensor object_side;  // [B, N] uint8: 1 on the side that holds argmax |y|
  at::Tensor eigenvalue;   // [B] fp32: lambda_2, the second largest of D^-1/2 M D^-1/2
  at::Tensor residual;     // [B] fp32: |S z - lambda_2 z| for the unit vector z = D^1/2 y
  std::vector<std::uint8_t> degenerate;  // [B]
  std::int64_t exact_solves = 0;         // images solved by the exact solver

  std::int64_t degenerate_count() const;
};

// Cuts every graph of similarity [B, N, N] (fp32, symmetric; N >= 2): the second smallest y of
// (D - M) y = lambda D y, split into {y >= mean(y)} and the rest. The side that holds argmax |y|
// (lowest index on ties) is the object. Ties are taken within 1e-5 of max |y|, so that both solvers
// and both signs of y settle them alike.
//
// An image is degenerate when its cut means nothing: a value that is not finite; lambda_2 below
// 1e-5 (all patches alike to fp32); lambda_2 and lambda_3 within 1e-7 (no second eigenvector of its
// own); lambda_3 above 1 - 1e-4 (three or more parts without edges between them, of which any may
// be cut off). lambda_2 alone near 1 is the best of cuts: two parts, each alike and unlike the
// other.
//
// Images on the CPU are solved in parallel on LibTorch's threads, others together on their device,
// except those that are left to the exact solver, which come to the CPU.
Bipartition bipartition(const at::Tensor& similarity, const NcutOptions& options = {},
                        NcutSolver solver = NcutSolver::fast);

}  // namespace sgmae
