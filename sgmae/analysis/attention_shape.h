// Where heads look: how far, and whether it depends on the query (paper, Figs. 6 and 7a; the
// measures of Park et al. 2023, "What do self-supervised vision transformers learn?").
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace sgmae {

// Both take patch attention P [B, H, N, N] fp32, rows summing to 1 (patch_attention()), and give
// [B, H].

// Mean over queries of sum_j P_ij d_ij, d_ij the distance of the patches' centres in pixels. The N
// patches are a grid of `columns` columns, each patch `patch_size` pixels wide and high.
at::Tensor attention_distance(const at::Tensor& attention, std::int64_t columns,
                              std::int64_t patch_size);

// Normalised mutual information of query and key, queries being equally likely: MI / sqrt(H(q)
// H(k)). 0: all queries look at the same keys; 1: each at its own. P is taken with 1e-8 added.
at::Tensor attention_nmi(const at::Tensor& attention);

}  // namespace sgmae
