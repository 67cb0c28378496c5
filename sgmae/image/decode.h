// JPEG, PNG, WebP, GIF, BMP and TIFF files (of an animation the first frame, of several pages the
// first) to pixels, equal to what Pillow's Image.open(…).convert("RGB") or convert("L") gives,
// turned upright as ImageOps.exif_transpose does (docs/compatibility.md); and HEIC, AVIF, JPEG XL
// and JPEG 2000 through plug-ins (codec_plugin.h), where those are built. Two steps, so that a crop
// box can be drawn from the size before anything is decoded, and only the crop is then decoded:
//
//   const ImageInfo info = read_image_info(bytes);
//   decode_image(bytes, info, random_resized_crop(rng, info.size), 3, image);
//
// Every function throws Error(data) for bytes that are no such image, are damaged or truncated
// (as Pillow does), or would have more than max_image_pixels. Messages do not name the file; the
// caller knows it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "sgmae/image/image.h"

namespace sgmae {

enum class ImageFormat { jpeg, png, webp, gif, bmp, tiff, heif, avif, jxl, jp2 };

// "jpeg", "png" …
const char* name_of(ImageFormat format);

// Pillow's limit against decompression bombs.
inline constexpr std::int64_t max_image_pixels = 178'956'970;

// No encoded image is larger; a file that is need not be read.
inline constexpr std::uint64_t max_image_bytes = std::uint64_t{1} << 30;

struct ImageInfo {
  ImageFormat format = ImageFormat::jpeg;
  ImageSize size;       // after orientation
  int orientation = 1;  // as EXIF counts, 1 to 8; 5 to 8 exchange width and height
  int channels = 3;     // as stored: 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha or CMYK
};

ImageInfo read_image_info(std::span<const std::uint8_t> bytes);

// The pixels of `region` as 1 or 3 channels; grey is repeated, colour becomes Pillow's "L".
// `image` is overwritten; its memory is used again.
void decode_image(std::span<const std::uint8_t> bytes, const ImageInfo& info, const CropBox& region,
                  int channels, Image& image);

// The whole image.
Image decode_image(std::span<const std::uint8_t> bytes, int channels);

// How opaque each pixel of the whole image is, upright: one channel, 255 where nothing shines
// through. None where the file says nothing of it. Of PNG (transparent colours too), WebP and TIFF;
// not of GIF, whose transparent colour is most often the background of an animation.
std::optional<Image> decode_alpha(std::span<const std::uint8_t> bytes, const ImageInfo& info);

}  // namespace sgmae
