// Points in the plane whose neighbourhoods are those of many dimensions: exact t-SNE (van der
// Maaten & Hinton 2008), for the patches of one image. O(N^2) memory and time per step.
#pragma once

#include <ATen/core/Tensor.h>

namespace sgmae {

struct TsneOptions {
  double perplexity = 30;          // neighbours that count; lowered to (N - 1) / 3 for few points
  int iterations = 1000;           // of gradient descent
  int early_iterations = 250;      // of them with attraction exaggerated,
  double early_exaggeration = 12;  // by this factor
};

// The joint probabilities p_ij [N, N] fp64 of points [N, D]: symmetric, sum 1, zero diagonal;
// every point's conditional distribution has the given perplexity. N >= 4.
at::Tensor tsne_affinities(const at::Tensor& points, double perplexity);

// D_KL(P || Q) in nats of an embedding [N, 2] under affinities P: what t-SNE makes small.
double tsne_divergence(const at::Tensor& affinities, const at::Tensor& embedding);

// [N, 2] fp64. Starts from the two principal components, so the result has no seed.
at::Tensor tsne(const at::Tensor& points, const TsneOptions& options = {});

}  // namespace sgmae
