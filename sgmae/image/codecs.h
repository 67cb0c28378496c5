// Internal to image/: one file per format. Rectangles are in stored pixels, before orientation.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "sgmae/image/bands.h"
#include "sgmae/image/image.h"

namespace sgmae {

struct StoredInfo {
  ImageSize size;
  int orientation = 1;
  int channels = 3;
  bool eight_bit = true;  // else decode_…_bands() alone
};

StoredInfo read_jpeg_info(std::span<const std::uint8_t> bytes);
StoredInfo read_png_info(std::span<const std::uint8_t> bytes);
StoredInfo read_webp_info(std::span<const std::uint8_t> bytes);
StoredInfo read_gif_info(std::span<const std::uint8_t> bytes);
StoredInfo read_bmp_info(std::span<const std::uint8_t> bytes);
StoredInfo read_tiff_info(std::span<const std::uint8_t> bytes, int page = 0);

void decode_jpeg(std::span<const std::uint8_t> bytes, const CropBox& region, int channels,
                 Image& image);
void decode_png(std::span<const std::uint8_t> bytes, const CropBox& region, int channels,
                Image& image);
void decode_webp(std::span<const std::uint8_t> bytes, const CropBox& region, int channels,
                 Image& image);
void decode_gif(std::span<const std::uint8_t> bytes, const CropBox& region, int channels,
                Image& image);
void decode_bmp(std::span<const std::uint8_t> bytes, const CropBox& region, int channels,
                Image& image);
void decode_tiff(std::span<const std::uint8_t> bytes, int page, const CropBox& region, int channels,
                 Image& image);

// All channels with their values as stored.
void decode_png_bands(std::span<const std::uint8_t> bytes, const CropBox& region, Bands& bands);
// `bands` has the region's size and as many channels as the page, or all pages.
void decode_tiff_bands(std::span<const std::uint8_t> bytes, int page, const CropBox& region,
                       Bands& bands);

int count_tiff_pages(std::span<const std::uint8_t> bytes);

// The whole file's alpha as one channel; false, and `alpha` as it was, where it has none.
bool decode_png_alpha(std::span<const std::uint8_t> bytes, Image& alpha);
bool decode_webp_alpha(std::span<const std::uint8_t> bytes, Image& alpha);
bool decode_tiff_alpha(std::span<const std::uint8_t> bytes, Image& alpha);

// A PNG's stored values, indices or grey, as one channel; Error(data) for colour, transparency and
// 16 bits.
void decode_png_values(std::span<const std::uint8_t> bytes, Image& values);
// The other way, with a palette.
std::vector<std::uint8_t> encode_png_values(
    const ImageView& values, const std::array<std::array<std::uint8_t, 3>, 256>& palette);

// Turns the pixels of a stored image as its EXIF orientation, 1 to 8, says.
void turn_upright(Image& image, int orientation);

// Sides as a header states them; Error(data) where they are beyond reason.
ImageSize checked_size(std::uint64_t width, std::uint64_t height);

// IEEE 754 binary16 to fp32.
float half_to_float(std::uint16_t half);

// Exact weights of resizing: outputs begin … begin + length - 1 when `in` values become `out`, each
// the sum of weight[k] times input first + k.
struct ExactSpan {
  int first = 0;
  std::vector<double> weight;
};
std::vector<ExactSpan> exact_weights(ResizeFilter filter, int in, int out, int begin, int length);

// `count` pixels of `in_channels` (1 or 3) to `out_channels` (1 or 3): grey is repeated, colour
// becomes Pillow's "L".
void convert_pixels(const std::uint8_t* in, int in_channels, std::uint8_t* out, int out_channels,
                    int count);

// Pillow's CMYK to RGB, in place (4 values a pixel become 3), of inverted ink: 255 is none.
void cmyk_to_rgb(std::uint8_t* row, int count);

}  // namespace sgmae
