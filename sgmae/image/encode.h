// Pixels to PNG and JPEG.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "sgmae/image/image.h"

namespace sgmae {

// The bytes of an 8-bit PNG file, grey or RGB.
std::vector<std::uint8_t> encode_png(const ImageView& image);

// The bytes of a baseline JPEG file, grey or RGB, with colour at half the resolution (4:2:0) as
// Pillow's save(quality=…) writes it. `quality` 1 to 100. Sides up to 65,500.
std::vector<std::uint8_t> encode_jpeg(const ImageView& image, int quality);

// A PNG as a file, written atomically. Throws Error(usage) when it cannot be written.
void write_png(const std::filesystem::path& path, const Image& image);

}  // namespace sgmae
