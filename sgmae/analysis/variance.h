// How much an image's tokens differ from each other (paper, Eq. 3 and Table 1; Fig. 7c).
#pragma once

#include <ATen/core/Tensor.h>

namespace sgmae {

// Feature variance sigma_F [B] fp32 of features [B, N, D]: with u_i = x_i / |x_i|, the variance of
// u over tokens, summed over dimensions (Eq. 3), which is 1 - |mean u|^2. 0: all tokens point the
// same way; 1: their mean vanishes. Independent of the tokens' lengths.
at::Tensor feature_variance(const at::Tensor& features);

// Similarity variance sigma_S of relations M [B, N, N]: the variance of M_ij over pairs i != j. The
// paper's Table 1 shows values that only M scaled to 0 ... 1 per image can have, so both are given.
struct SimilarityVariance {
  at::Tensor raw;         // [B] fp32
  at::Tensor normalised;  // [B] fp32, of M scaled to 0 ... 1 over the image's pairs i != j
};
SimilarityVariance similarity_variance(const at::Tensor& relation);

// Mask tokens along the decoder: sigma_F of the rows of features [B, N, D] where mask [B, N] is 1,
// and the variance over those rows of the raw values, averaged over dimensions. The paper names no
// formula. Every image needs a masked patch.
struct MaskTokenVariance {
  at::Tensor direction;  // [B] sigma_F
  at::Tensor raw;        // [B]
};
MaskTokenVariance mask_token_variance(const at::Tensor& features, const at::Tensor& mask);

}  // namespace sgmae
