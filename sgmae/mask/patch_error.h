// What the model itself finds hard: its reconstruction error on every patch of an image. Objects
// are harder than their surroundings, and no second network has to say so.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "sgmae/nn/mae.h"

namespace sgmae {

// [B, N] fp32 on the CPU: the loss that the model is trained with, on every patch of pixels
// [B, C, H, W] while it is hidden. Several masks of `mask_ratio` (four at 0.75) share out the
// patches so that each is visible at most once and hidden in all the others; with a ratio below one
// half each is hidden once at least. Masks are keyed by (seed, index); `index` [B] are positions in
// the data set. Throws Error(usage) unless something stays visible and something is masked.
at::Tensor patch_errors(const Mae& model, const at::Tensor& pixels,
                        const std::vector<std::int64_t>& index, double mask_ratio,
                        std::uint64_t seed);

// How many masks those are: forward passes of the model over each image.
std::int64_t error_masks(std::int64_t n_patches, std::int64_t n_visible);

// [B, N] uint8: 1 for the N / 4 patches (at least one) of the highest error, of equal ones the
// first. No patch where errors are not finite or do not differ.
at::Tensor hardest_quarter(const at::Tensor& errors);

// [B, N] fp32 on the CPU: variance of the pixels within each patch.
at::Tensor patch_variance(const at::Tensor& pixels, std::int64_t patch_size);

}  // namespace sgmae
