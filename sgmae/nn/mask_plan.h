// Which patches the encoder sees. Every masking strategy is just a way to make one.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "sgmae/nn/device.h"

namespace sgmae {

struct MaskPlan {
  at::Tensor order;            // [B, N] int64: patch positions, visible first; made on the CPU
  std::int64_t n_visible = 0;  // the first n_visible of `order` stay visible
};

// The same plan on another device; does not wait for one that is not the CPU.
inline MaskPlan plan_on(at::Device device, const MaskPlan& plan) {
  return {send(plan.order, device), plan.n_visible};
}

// int(N * (1 - mask_ratio)), MAE's count of visible patches.
std::int64_t visible_count(std::int64_t n_patches, double mask_ratio);

// [B, N] fp32: 0 visible, 1 masked, in patch order (MAE's `mask`).
at::Tensor mask_of(const MaskPlan& plan);

}  // namespace sgmae
