// Internal to detect/: RoIAlign along one axis.
#pragma once

#include <cstdint>
#include <vector>

#include "sgmae/detect/roi_align.h"

namespace sgmae {

// Along one axis, what each cell of the result is made of: cell i is the sum of weight[i][k] times
// the map's place first + k. A product grid of samples and bilinear weights are products too, so
// that rows and columns can be taken one after the other.
struct Axis {
  std::int64_t first = 0, count = 0;
  std::vector<float> weight;  // [size][count]
};

// Of a box from `low` to `high` on a map of `places`.
Axis axis_of(float low, float high, std::int64_t places, const RoiAlign& options);

}  // namespace sgmae
