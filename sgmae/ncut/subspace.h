// The second eigenvectors of a batch of similarity graphs in matrix products, for a device that is
// not the CPU (lanczos.h is for that), so that graphs need not come to the host.
#pragma once

#include <ATen/core/Tensor.h>

#include "sgmae/ncut/options.h"

namespace sgmae {

struct SecondEigenvectors {  // on the CPU
  at::Tensor y;              // [B, n] fp32, signs arbitrary; not to be used where not converged
  at::Tensor eigenvalue;     // [B] fp64: lambda_2 of D^-1/2 W D^-1/2
  at::Tensor gap;            // [B] fp64: lambda_2 - lambda_3, estimated
  at::Tensor residual;       // [B] fp64: |S z - lambda_2 z|, measured, |z| = 1
  at::Tensor converged;      // [B] bool: residual / gap bounds the error of z by 5e-5
};

// What second_eigenvector() finds (lanczos.h), of every graph of similarity [B, n, n] fp32, n >=
// 16, on any device; images that are not finite do not converge. Subspace iteration with a fixed
// start and Chebyshev polynomials (Zhou, Saad et al. 2006), D^1/2 1 deflated: products in fp32,
// what is small in fp64. The host waits once a round of ten products, of which two suffice as a
// rule.
SecondEigenvectors second_eigenvectors(const at::Tensor& similarity, const NcutOptions& options);

}  // namespace sgmae
