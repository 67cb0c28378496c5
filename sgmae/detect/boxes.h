// Boxes [n, 4] fp32: left, top, right, bottom in pixels of what the model sees (Girshick 2015;
// Ren et al. 2015).
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

namespace sgmae {

at::Tensor area(const at::Tensor& boxes);  // [n]

// Intersection over union of a [n, 4] and b [m, 4] -> [n, m]; 0 where both are without area.
at::Tensor overlap(const at::Tensor& a, const at::Tensor& b);
// Intersection over a's own area: how much of a box lies in a region -> [n, m].
at::Tensor coverage(const at::Tensor& a, const at::Tensor& regions);

// Whether both sides are at least so many pixels -> [n] bool; false where they are no numbers.
at::Tensor has_sides(const at::Tensor& boxes, double smallest);

// Moved into an image of that size.
at::Tensor clip(const at::Tensor& boxes, std::int64_t height, std::int64_t width);

// What a head predicts of a box, relative to an anchor or proposal: shift of the centre in its
// sides, logarithms of the ratios of sides; each times a weight (x, y, width, height).
struct BoxCoding {
  std::array<double, 4> weights{1, 1, 1, 1};

  at::Tensor encode(const at::Tensor& boxes, const at::Tensor& references) const;  // [n, 4] each
  // deltas [n, 4 * k] for references [n, 4] -> [n, 4 * k]. A side grows 1000/16 times at most.
  at::Tensor decode(const at::Tensor& deltas, const at::Tensor& references) const;
};

}  // namespace sgmae
