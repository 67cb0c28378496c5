// Where heads look: how far, and whether it depends on the query (paper, Figs. 6 and 7a; the
// measures of Park et al. 2023, "What do self-supervised vision transformers learn?").
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace sgmae {

// Both [B, H] fp32, of P, the attention among patches: rows and columns of the prefix are dropped
// and rows made to sum to 1 again.
struct WhereHeadsLook {
  // Mean over queries of sum_j P_ij d_ij, d_ij the distance of the patches' centres in pixels.
  at::Tensor distance;
  // Normalised mutual information of query and key, queries being equally likely: MI / sqrt(H(q)
  // H(k)). 0: all queries look at the same keys; 1: each at its own. P is taken with 1e-8 added.
  at::Tensor nmi;
};

// Of attention [B, H, prefix+N, prefix+N] fp32 on the CPU, N > 1 patches in rows of `columns`, each
// `patch_size` pixels wide and high.
WhereHeadsLook attention_shape(const at::Tensor& attention, std::int64_t prefix,
                               std::int64_t columns, std::int64_t patch_size);

}  // namespace sgmae
