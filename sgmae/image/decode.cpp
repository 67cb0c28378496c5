#include "sgmae/image/decode.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/image/codecs.h"

namespace sgmae {
namespace {

bool starts_with(std::span<const std::uint8_t> bytes, std::string_view magic, std::size_t at = 0) {
  return bytes.size() >= at + magic.size() &&
         std::memcmp(bytes.data() + at, magic.data(), magic.size()) == 0;
}

ImageFormat sniff(std::span<const std::uint8_t> bytes) {
  check(!bytes.empty(), ExitCode::data, "the file is empty");
  if (starts_with(bytes, "\xff\xd8\xff")) return ImageFormat::jpeg;
  if (starts_with(bytes, "\x89PNG\r\n\x1a\n")) return ImageFormat::png;
  if (starts_with(bytes, "RIFF") && starts_with(bytes, "WEBP", 8)) return ImageFormat::webp;
  fail(ExitCode::data, "not a JPEG, PNG or WebP file, whatever its name says");
}

// How stored pixels become upright ones: upright (x, y) is stored (u, v), where (u, v) is (x, y)
// or, with `swap`, (y, x), each counted from the far edge where `mirror_…` says so.
struct Orientation {
  bool swap, mirror_u, mirror_v;
  explicit Orientation(int exif)
      : swap(exif >= 5),
        mirror_u(exif == 2 || exif == 3 || exif == 7 || exif == 8),
        mirror_v(exif == 3 || exif == 4 || exif == 6 || exif == 7) {}
};

CropBox stored_region(const CropBox& upright, ImageSize stored, const Orientation& orientation) {
  CropBox box = upright;
  if (orientation.swap) box = {upright.y, upright.x, upright.height, upright.width};
  if (orientation.mirror_u) box.x = stored.width - box.x - box.width;
  if (orientation.mirror_v) box.y = stored.height - box.y - box.height;
  return box;
}

void make_upright(Image& image, const Orientation& orientation) {
  Image upright;
  reshape(upright, orientation.swap ? ImageSize{image.height, image.width} : image.size(),
          image.channels);
  const std::ptrdiff_t pixel = image.channels, row = pixel * image.width;
  const std::uint8_t* start = image.pixels.data();
  if (orientation.mirror_u) start += (image.width - 1) * pixel;
  if (orientation.mirror_v) start += (image.height - 1) * row;
  const std::ptrdiff_t along_u = orientation.mirror_u ? -pixel : pixel;
  const std::ptrdiff_t along_v = orientation.mirror_v ? -row : row;
  const std::ptrdiff_t along_x = orientation.swap ? along_v : along_u;
  const std::ptrdiff_t along_y = orientation.swap ? along_u : along_v;
  std::uint8_t* out = upright.pixels.data();
  for (int y = 0; y < upright.height; ++y)
    for (int x = 0; x < upright.width; ++x)
      for (int c = 0; c < image.channels; ++c) *out++ = start[y * along_y + x * along_x + c];
  image = std::move(upright);
}

}  // namespace

int exif_orientation(std::span<const std::uint8_t> tiff) {
  const bool little = starts_with(tiff, {"II*\0", 4});
  if (!little && !starts_with(tiff, {"MM\0*", 4})) return 1;
  const auto read = [&](std::size_t at, int bytes) -> std::size_t {
    if (at > tiff.size() || tiff.size() - at < static_cast<std::size_t>(bytes)) return 0;
    std::size_t value = 0;
    for (int i = 0; i < bytes; ++i)
      value |= static_cast<std::size_t>(tiff[at + static_cast<std::size_t>(i)])
               << 8 * (little ? i : bytes - 1 - i);
    return value;
  };
  constexpr std::size_t entry_bytes = 12, orientation_tag = 0x0112, type_short = 3;
  const std::size_t directory = read(4, 4), entries = read(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * entry_bytes;
    if (entry + entry_bytes > tiff.size()) break;
    if (read(entry, 2) != orientation_tag || read(entry + 2, 2) != type_short) continue;
    const std::size_t value = read(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

void reshape(Image& image, ImageSize size, int channels) {
  image.width = size.width;
  image.height = size.height;
  image.channels = channels;
  image.pixels.resize(static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height) *
                      static_cast<std::size_t>(channels));
}

void convert_pixels(const std::uint8_t* in, int in_channels, std::uint8_t* out, int out_channels,
                    int count) {
  if (in_channels == out_channels) {
    std::memcpy(out, in, static_cast<std::size_t>(count) * static_cast<std::size_t>(in_channels));
  } else if (in_channels == 1) {
    for (int i = 0; i < count; ++i, out += 3) out[0] = out[1] = out[2] = in[i];
  } else {
    // ITU-R 601-2 luma in 16-bit fixed point.
    for (int i = 0; i < count; ++i, in += 3)
      out[i] = static_cast<std::uint8_t>(
          (in[0] * 19595u + in[1] * 38470u + in[2] * 7471u + 0x8000u) >> 16);
  }
}

ImageInfo read_image_info(std::span<const std::uint8_t> bytes) {
  ImageInfo info;
  info.format = sniff(bytes);
  const StoredInfo stored = info.format == ImageFormat::jpeg  ? read_jpeg_info(bytes)
                            : info.format == ImageFormat::png ? read_png_info(bytes)
                                                              : read_webp_info(bytes);
  check(stored.size.width > 0 && stored.size.height > 0, ExitCode::data,
        "the image has no pixels (", stored.size.width, "x", stored.size.height, ")");
  check(static_cast<std::int64_t>(stored.size.width) * stored.size.height <= max_image_pixels,
        ExitCode::data, "the image claims ", stored.size.width, "x", stored.size.height,
        " pixels, more than the limit of ", max_image_pixels);
  info.orientation = stored.orientation;
  info.channels = stored.channels;
  info.size = stored.size;
  if (Orientation(info.orientation).swap) std::swap(info.size.width, info.size.height);
  return info;
}

void decode_image(std::span<const std::uint8_t> bytes, const ImageInfo& info, const CropBox& region,
                  int channels, Image& image) {
  SGMAE_ASSERT(channels == 1 || channels == 3);
  SGMAE_ASSERT(region.x >= 0 && region.y >= 0 && region.width > 0 && region.height > 0 &&
               region.x + region.width <= info.size.width &&
               region.y + region.height <= info.size.height);
  const Orientation orientation(info.orientation);
  ImageSize stored = info.size;
  if (orientation.swap) std::swap(stored.width, stored.height);
  const CropBox box = stored_region(region, stored, orientation);
  switch (info.format) {
    case ImageFormat::jpeg:
      decode_jpeg(bytes, box, channels, image);
      break;
    case ImageFormat::png:
      decode_png(bytes, box, channels, image);
      break;
    case ImageFormat::webp:
      decode_webp(bytes, box, channels, image);
      break;
  }
  if (info.orientation != 1) make_upright(image, orientation);
}

Image decode_image(std::span<const std::uint8_t> bytes, int channels) {
  const ImageInfo info = read_image_info(bytes);
  Image image;
  decode_image(bytes, info, whole(info.size), channels, image);
  return image;
}

}  // namespace sgmae
