// Objects as the network sees them: on the canvas on which the loader laid their image.
#pragma once

#include <cstdint>
#include <vector>

#include "sgmae/image/geometry.h"

namespace sgmae {

// Which pixels of a rectangle of the canvas are object.
struct InstanceMask {
  CropBox place;
  std::vector<std::uint8_t> inside;  // [place.height, place.width] 0 and 1
};

}  // namespace sgmae
