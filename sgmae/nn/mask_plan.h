// Which patches the encoder sees. Every masking strategy is just a way to make one.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "sgmae/nn/device.h"

namespace sgmae {

struct MaskPlan {
  at::Tensor order;  // [B, N] int64: patch positions; visible, masked, thrown; made on the CPU
  std::int64_t n_visible = 0;  // the first n_visible of `order` stay visible
  std::int64_t n_thrown = 0;   // the last: neither encoded nor decoded, nor in the loss (AMT)

  std::int64_t n_masked() const { return order.size(1) - n_visible - n_thrown; }
  at::Tensor masked() const;  // [B, n_masked] their positions
};

// The same plan on another device; does not wait for one that is not the CPU.
inline MaskPlan plan_on(at::Device device, const MaskPlan& plan) {
  return {send(plan.order, device), plan.n_visible, plan.n_thrown};
}

// int(N * (1 - mask_ratio)), MAE's count of visible patches.
std::int64_t visible_count(std::int64_t n_patches, double mask_ratio);

// The same where others are thrown: those come out of the visible ones, int(N * thrown_ratio).
struct PatchCounts {
  std::int64_t visible = 0, thrown = 0;
};
PatchCounts patch_counts(std::int64_t n_patches, double mask_ratio, double thrown_ratio);

// [B, N] fp32: 0 visible, 1 not, in patch order (MAE's `mask`).
at::Tensor mask_of(const MaskPlan& plan);

}  // namespace sgmae
