// Internal to image/: one file per format. Rectangles are in stored pixels, before orientation.
#pragma once

#include <cstdint>
#include <span>

#include "sgmae/image/image.h"

namespace sgmae {

struct StoredInfo {
  ImageSize size;
  int orientation = 1;
  int channels = 3;
};

StoredInfo read_jpeg_info(std::span<const std::uint8_t> bytes);
StoredInfo read_png_info(std::span<const std::uint8_t> bytes);
StoredInfo read_webp_info(std::span<const std::uint8_t> bytes);

void decode_jpeg(std::span<const std::uint8_t> bytes, const CropBox& region, int channels,
                 Image& image);
void decode_png(std::span<const std::uint8_t> bytes, const CropBox& region, int channels,
                Image& image);
void decode_webp(std::span<const std::uint8_t> bytes, const CropBox& region, int channels,
                 Image& image);

// The orientation (1 to 8) in a TIFF block as EXIF holds it; 1 where there is none.
int exif_orientation(std::span<const std::uint8_t> tiff);

// Sets size and channels of `image` and makes room; its pixels are then undefined.
void reshape(Image& image, ImageSize size, int channels);

// `count` pixels of `in_channels` (1 or 3) to `out_channels` (1 or 3): grey is repeated, colour
// becomes Pillow's "L".
void convert_pixels(const std::uint8_t* in, int in_channels, std::uint8_t* out, int out_channels,
                    int count);

}  // namespace sgmae
