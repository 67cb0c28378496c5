// JPEG, PNG, WebP, GIF, BMP and TIFF files (of an animation the first frame, of several pages the
// first) to pixels, equal to what Pillow's Image.open(…).convert("RGB") or convert("L") gives,
// turned upright as ImageOps.exif_transpose does (docs/compatibility.md); and HEIC, AVIF, JPEG XL
// and JPEG 2000 through plug-ins (codec_plugin.h), where those are built. Two steps, so that a crop
// box can be drawn from the size before anything is decoded, and only the crop is then decoded:
//
//   const ImageInfo info = read_image_info(bytes);
//   decode_image(bytes, info, random_resized_crop(rng, info.size), 3, image);
//
// decode_bands() in its place keeps the values as stored, of any number of channels (bands.h).
//
// Every function throws Error(data) for bytes that are no such image, are damaged or truncated
// (as Pillow does), or would have more than max_image_pixels. Messages do not name the file; the
// caller knows it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "sgmae/image/bands.h"
#include "sgmae/image/image.h"

namespace sgmae {

enum class ImageFormat { jpeg, png, webp, gif, bmp, tiff, heif, avif, jxl, jp2 };

// "jpeg", "png" …
const char* name_of(ImageFormat format);

// Pillow's limit against decompression bombs.
inline constexpr std::int64_t max_image_pixels = 178'956'970;

// No encoded image is larger; a file that is need not be read.
inline constexpr std::uint64_t max_image_bytes = std::uint64_t{1} << 30;

// Of values as stored.
inline constexpr int max_channels = 1024;
inline constexpr std::int64_t max_image_values = std::int64_t{1} << 28;  // 1 GiB of fp32

// In place of a page's number.
inline constexpr int all_pages = -1;

struct ImageInfo {
  ImageFormat format = ImageFormat::jpeg;
  ImageSize size;       // after orientation
  int orientation = 1;  // as EXIF counts, 1 to 8; 5 to 8 exchange width and height
  int channels = 3;     // as stored: 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha or CMYK
  bool eight_bit = true;  // whether decode_image() reads it, or decode_bands() alone
  int page = 0;           // of a TIFF, or all_pages
};

ImageInfo read_image_info(std::span<const std::uint8_t> bytes, int page = 0);

// Of a TIFF those that are images of their own, not smaller versions or masks of one; 1 of others.
int count_pages(std::span<const std::uint8_t> bytes);

// The value that stands for "not measured" by GDAL's tag in a TIFF (42113), at info.page; none
// where there is no such tag or no number in it, and of other formats.
std::optional<double> nodata_tag(std::span<const std::uint8_t> bytes, const ImageInfo& info);

// The pixels of `region` as 1 or 3 channels; grey is repeated, colour becomes Pillow's "L".
// `image` is overwritten; its memory is used again. Error(data) says why a file is not eight_bit.
void decode_image(std::span<const std::uint8_t> bytes, const ImageInfo& info, const CropBox& region,
                  int channels, Image& image);

// The whole image.
Image decode_image(std::span<const std::uint8_t> bytes, int channels);

// The values of `region` as stored: of TIFF and PNG all channels that the file has, palettes as
// their colours; of other formats 1 or 3. Error(data) where these are not `channels`.
void decode_bands(std::span<const std::uint8_t> bytes, const ImageInfo& info, const CropBox& region,
                  int channels, Bands& bands);

// How opaque each pixel of the whole image is, upright: one channel, 255 where nothing shines
// through. None where the file says nothing of it. Of PNG (transparent colours too), WebP and TIFF;
// not of GIF, whose transparent colour is most often the background of an animation.
std::optional<Image> decode_alpha(std::span<const std::uint8_t> bytes, const ImageInfo& info);

}  // namespace sgmae
