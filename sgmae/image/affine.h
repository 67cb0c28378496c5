// Affine maps of an image onto one of the same size, equal to Pillow 13's transform() and rotate()
// with bicubic interpolation (Keys, a = -1, in double precision) and a fill colour.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "sgmae/image/image.h"

namespace sgmae {

// Where in the source the result at (x, y) comes from: (m0 x + m1 y + m2, m3 x + m4 y + m5), with
// pixel centres at halves.
using AffineMap = std::array<double, 6>;

// Counter-clockwise about the middle of the image.
AffineMap rotation(ImageSize size, double degrees);

// What comes from outside the source takes the colour `fill` [channels].
Image transform(const ImageView& source, const AffineMap& map,
                const std::vector<std::uint8_t>& fill);

}  // namespace sgmae
