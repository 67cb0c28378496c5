// Which side of a cut is the object, by what its patches are like: a score of every patch, and the
// side whose patches have more of it. bipartition() itself takes the paper's side.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "sgmae/ncut/ncut.h"
#include "sgmae/ncut/options.h"

namespace sgmae {

// Exchanges the sides (and negates the eigenvector) of every image whose other side has the higher
// mean of score [B, N]. A difference within 1e-6 of the mean |score|, as of rounding, is none.
// Degenerate images stay.
void take_higher_side(Bipartition& cut, const at::Tensor& score);

// ObjectRule::smaller: exchanges them where the object side has more than half of the patches.
void take_smaller_side(Bipartition& cut);

// [N] fp32: 1 within the outermost ring of patches in rows of `columns`, 0 on it. The side with the
// higher mean is the one that covers the smaller share of the ring (ObjectRule::inside).
at::Tensor inner_patches(std::int64_t n, std::int64_t columns);

// [B, N] fp32: less the degree of every patch, sum_j W_ij with the clamping of `options`
// (ObjectRule::degree).
at::Tensor negative_degree(const at::Tensor& similarity, const NcutOptions& options = {});

}  // namespace sgmae
