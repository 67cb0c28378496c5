// Non-maximum suppression: of boxes that overlap, the one with the highest score stays.
#pragma once

#include <ATen/core/Tensor.h>

namespace sgmae {

// boxes [n, 4], scores [n] -> positions [.] int64 of those that stay, highest score first, the
// lower position first among equals. A box goes that overlaps one that stays by more than
// `threshold`. Computed on the CPU, exactly as torchvision; the result lies with the boxes.
at::Tensor nms(const at::Tensor& boxes, const at::Tensor& scores, double threshold);

// The same, but only boxes of the same group [n] int64 (class, or level) suppress each other.
at::Tensor nms_in_groups(const at::Tensor& boxes, const at::Tensor& scores,
                         const at::Tensor& groups, double threshold);

}  // namespace sgmae
