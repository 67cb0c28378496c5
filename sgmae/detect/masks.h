// Masks of objects between an image and the mask head's square (He et al. 2017, section 3).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "sgmae/data/canvas_objects.h"
#include "sgmae/image/runs.h"

namespace sgmae {

// What the mask head is to say of boxes [n, 4]: how much of each of size x size cells is mask i,
// by RoIAlign of the mask. [n, size, size] fp32 in 0 .. 1, on the CPU. `masks` are n, of an image
// of height x width pixels.
at::Tensor mask_targets(std::span<const InstanceMask* const> masks, const at::Tensor& boxes,
                        std::int64_t height, std::int64_t width, std::int64_t size);

// A mask head's square of probabilities [size * size] laid over a box of an image, bilinearly, 0
// around it: the pixels where it is at least 1/2.
Runs paste_mask(std::span<const float> probabilities, std::int64_t size, const PixelBox& box,
                ImageSize image);

}  // namespace sgmae
