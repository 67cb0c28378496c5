// What a file is, by its first bytes, whatever its name says. Internal to image/.
#pragma once

#include <cstdint>
#include <span>

#include "sgmae/image/decode.h"

namespace sgmae {

// Throws Error(data) for what is not read, and names it where it is something known.
ImageFormat sniff_format(std::span<const std::uint8_t> bytes);

}  // namespace sgmae
