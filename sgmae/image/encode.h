// Pixels to PNG.
#pragma once

#include <cstdint>
#include <vector>

#include "sgmae/image/image.h"

namespace sgmae {

// The bytes of an 8-bit PNG file, grey or RGB.
std::vector<std::uint8_t> encode_png(const ImageView& image);

}  // namespace sgmae
