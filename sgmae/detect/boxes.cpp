#include "sgmae/detect/boxes.h"

#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

namespace sgmae {
namespace {

at::Tensor side(const at::Tensor& boxes, int which) {
  return boxes.select(-1, which);
}

at::Tensor intersection(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor first = a.unsqueeze(1);  // [n, 1, 4] against [m, 4]
  const auto extent = [&](int low, int high) {
    return at::minimum(side(first, high), side(b, high))
        .sub_(at::maximum(side(first, low), side(b, low)))
        .clamp_min_(0);
  };
  return extent(0, 2).mul_(extent(1, 3));
}

at::Tensor ratio(const at::Tensor& part, const at::Tensor& whole) {
  return at::where(whole.gt(0), part.div(whole), at::zeros_like(part));
}

struct Centred {
  at::Tensor x, y, width, height;

  explicit Centred(const at::Tensor& boxes)
      : width(side(boxes, 2).sub(side(boxes, 0))), height(side(boxes, 3).sub(side(boxes, 1))) {
    x = side(boxes, 0).add(width, 0.5);
    y = side(boxes, 1).add(height, 0.5);
  }
};

}  // namespace

at::Tensor area(const at::Tensor& boxes) {
  return side(boxes, 2).sub(side(boxes, 0)).mul_(side(boxes, 3).sub(side(boxes, 1)));
}

at::Tensor overlap(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor both = intersection(a, b);
  return ratio(both, area(a).unsqueeze(1).add(area(b)).sub_(both));
}

at::Tensor coverage(const at::Tensor& a, const at::Tensor& regions) {
  return ratio(intersection(a, regions), area(a).unsqueeze(1));
}

at::Tensor has_sides(const at::Tensor& boxes, double smallest) {
  return side(boxes, 2)
      .sub(side(boxes, 0))
      .ge(smallest)
      .logical_and_(side(boxes, 3).sub(side(boxes, 1)).ge(smallest));
}

at::Tensor clip(const at::Tensor& boxes, std::int64_t height, std::int64_t width) {
  return at::stack({side(boxes, 0).clamp(0, width), side(boxes, 1).clamp(0, height),
                    side(boxes, 2).clamp(0, width), side(boxes, 3).clamp(0, height)},
                   -1);
}

at::Tensor BoxCoding::encode(const at::Tensor& boxes, const at::Tensor& references) const {
  const Centred to(boxes), from(references);
  return at::stack({to.x.sub(from.x).div_(from.width).mul_(weights[0]),
                    to.y.sub(from.y).div_(from.height).mul_(weights[1]),
                    to.width.div(from.width).log_().mul_(weights[2]),
                    to.height.div(from.height).log_().mul_(weights[3])},
                   -1);
}

at::Tensor BoxCoding::decode(const at::Tensor& deltas, const at::Tensor& references) const {
  const double largest = std::log(1000.0 / 16);
  const at::Tensor d = deltas.view({deltas.size(0), -1, 4});
  const Centred from(references.unsqueeze(1));
  const auto place = [&](int i, const at::Tensor& centre, const at::Tensor& extent) {
    return side(d, i).div(weights[static_cast<std::size_t>(i)]).mul_(extent).add_(centre);
  };
  const auto half = [&](int i, const at::Tensor& extent) {
    return side(d, i)
        .div(weights[static_cast<std::size_t>(i)])
        .clamp_max_(largest)
        .exp_()
        .mul_(extent)
        .mul_(0.5);
  };
  const at::Tensor x = place(0, from.x, from.width), y = place(1, from.y, from.height);
  const at::Tensor w = half(2, from.width), h = half(3, from.height);
  return at::stack({x.sub(w), y.sub(h), x.add(w), y.add(h)}, -1).view(deltas.sizes());
}

}  // namespace sgmae
