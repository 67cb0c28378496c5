// Pixels to PNG.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "sgmae/image/image.h"

namespace sgmae {

// The bytes of an 8-bit PNG file, grey or RGB.
std::vector<std::uint8_t> encode_png(const ImageView& image);

// The same as a file, written atomically. Throws Error(usage) when it cannot be written.
void write_png(const std::filesystem::path& path, const Image& image);

}  // namespace sgmae
