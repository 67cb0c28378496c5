// How patches relate to each other in one layer: by their features (M, paper section 3.1) and by
// attention (A), and what those relations say about single patches.
// Attention is [B, H, prefix+N, prefix+N], rows summing to 1; the prefix is CLS and, in some
// models, registers behind it. Features are [B, N, D].
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace sgmae {

// M itself is similarity() of ncut/graph.h.

// [B, H, N, N] fp32: attention among patches. Rows and columns of the prefix are dropped and rows
// made to sum to 1 again.
at::Tensor patch_attention(const at::Tensor& attention, std::int64_t prefix = 1);

// A [B, N, N] fp32: the same with heads averaged first.
at::Tensor attention_relation(const at::Tensor& attention, std::int64_t prefix = 1);

// [B, N] fp32: cosine of each patch with the image's mean patch (Fig. 2).
at::Tensor similarity_to_mean(const at::Tensor& features);

// [B, N] fp32: how much CLS attends to each patch, heads averaged (Fig. 2).
at::Tensor cls_attention(const at::Tensor& attention, std::int64_t prefix = 1);

// x scaled to 0 ... 1 in each image (first dimension); a constant image becomes 0.
at::Tensor min_max(const at::Tensor& x);

// [B, N] fp32: the share of CLS in layer L that comes from each input patch, by rollout of
// (A + I) / 2 over all layers with heads averaged (Abnar & Zuidema 2020), scaled to sum to 1.
at::Tensor attention_rollout(const std::vector<at::Tensor>& attention, std::int64_t prefix = 1);

// D_KL(P || Q) [B] in nats, the mean over rows of relations [B, N, N] whose rows are distributions
// (Eq. 4). Where P is 0 a term is 0; Q is taken as at least 1e-12.
at::Tensor relation_divergence(const at::Tensor& p, const at::Tensor& q);

}  // namespace sgmae
