#include "sgmae/image/decode.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/image/codec_plugin.h"
#include "sgmae/image/codecs.h"
#include "sgmae/image/sniff.h"

namespace sgmae {
namespace {

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

// What reads a format.
struct Codec {
  const char* name;
  StoredInfo (*read_info)(std::span<const std::uint8_t>);
  void (*decode)(std::span<const std::uint8_t>, const CropBox&, int, Image&);
  bool (*decode_alpha)(std::span<const std::uint8_t>, Image&);  // null: the format has none
};

template <ImageFormat format>
Codec plugin_codec(const char* name) {
  return {name, [](std::span<const std::uint8_t> bytes) { return read_plugin_info(format, bytes); },
          [](std::span<const std::uint8_t> bytes, const CropBox& region, int channels,
             Image& image) { decode_by_plugin(format, bytes, region, channels, image); },
          nullptr};
}

Codec codec(ImageFormat format) {
  switch (format) {
    case ImageFormat::jpeg:
      return {"jpeg", read_jpeg_info, decode_jpeg, nullptr};
    case ImageFormat::png:
      return {"png", read_png_info, decode_png, decode_png_alpha};
    case ImageFormat::webp:
      return {"webp", read_webp_info, decode_webp, decode_webp_alpha};
    case ImageFormat::gif:
      return {"gif", read_gif_info, decode_gif, nullptr};
    case ImageFormat::bmp:
      return {"bmp", read_bmp_info, decode_bmp, nullptr};
    case ImageFormat::tiff:
      return {"tiff", nullptr, nullptr, decode_tiff_alpha};  // a page is named too
    case ImageFormat::heif:
      return plugin_codec<ImageFormat::heif>("heif");
    case ImageFormat::avif:
      return plugin_codec<ImageFormat::avif>("avif");
    case ImageFormat::jxl:
      return plugin_codec<ImageFormat::jxl>("jxl");
    case ImageFormat::jp2:
      return plugin_codec<ImageFormat::jp2>("jp2");
  }
  SGMAE_ASSERT(!"a format without a codec");
  return {};
}

std::vector<std::uint8_t>& values_of(Image& image) {
  return image.pixels;
}
std::vector<float>& values_of(Bands& bands) {
  return bands.values;
}

template <class Pixels>
void turn(Pixels& image, int exif) {
  if (exif == 1) return;
  const Orientation orientation(exif);
  Pixels upright;
  reshape(upright, orientation.swap ? ImageSize{image.height, image.width} : image.size(),
          image.channels);
  const std::ptrdiff_t pixel = image.channels, row = pixel * image.width;
  const auto* start = values_of(image).data();
  if (orientation.mirror_u) start += (image.width - 1) * pixel;
  if (orientation.mirror_v) start += (image.height - 1) * row;
  const std::ptrdiff_t along_u = orientation.mirror_u ? -pixel : pixel;
  const std::ptrdiff_t along_v = orientation.mirror_v ? -row : row;
  const std::ptrdiff_t along_x = orientation.swap ? along_v : along_u;
  const std::ptrdiff_t along_y = orientation.swap ? along_u : along_v;
  auto* out = values_of(upright).data();
  for (int y = 0; y < upright.height; ++y)
    for (int x = 0; x < upright.width; ++x)
      for (int c = 0; c < image.channels; ++c) *out++ = start[y * along_y + x * along_x + c];
  image = std::move(upright);
}

// The part of the stored image that becomes `region` of the upright one.
CropBox stored_part(const ImageInfo& info, const CropBox& region) {
  SGMAE_ASSERT(region.x >= 0 && region.y >= 0 && region.width > 0 && region.height > 0 &&
               region.x + region.width <= info.size.width &&
               region.y + region.height <= info.size.height);
  const Orientation orientation(info.orientation);
  ImageSize stored = info.size;
  if (orientation.swap) std::swap(stored.width, stored.height);
  return stored_region(region, stored, orientation);
}

}  // namespace

void turn_upright(Image& image, int exif) {
  turn(image, exif);
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

void cmyk_to_rgb(std::uint8_t* row, int count) {
  std::uint8_t* out = row;
  for (int i = 0; i < count; ++i, row += 4, out += 3) {
    const int paper = row[3];
    for (int c = 0; c < 3; ++c) {
      const int product = paper * (255 - row[c]) + 128;
      out[c] =
          static_cast<std::uint8_t>(std::clamp(paper - (((product >> 8) + product) >> 8), 0, 255));
    }
  }
}

ImageSize checked_size(std::uint64_t width, std::uint64_t height) {
  constexpr std::uint64_t longest_side = 1'000'000;
  check(width <= longest_side && height <= longest_side, ExitCode::data, "the image claims ", width,
        "x", height, " pixels, more than the limit of ", longest_side, " a side");
  return {static_cast<int>(width), static_cast<int>(height)};
}

const char* name_of(ImageFormat format) {
  return codec(format).name;
}

ImageInfo read_image_info(std::span<const std::uint8_t> bytes, int page) {
  ImageInfo info;
  info.format = sniff_format(bytes);
  const bool tiff = info.format == ImageFormat::tiff;
  const StoredInfo stored =
      tiff ? read_tiff_info(bytes, page) : codec(info.format).read_info(bytes);
  check(stored.size.width > 0 && stored.size.height > 0, ExitCode::data,
        "the image has no pixels (", stored.size.width, "x", stored.size.height, ")");
  check(static_cast<std::int64_t>(stored.size.width) * stored.size.height <= max_image_pixels,
        ExitCode::data, "the image claims ", stored.size.width, "x", stored.size.height,
        " pixels, more than the limit of ", max_image_pixels);
  info.orientation = stored.orientation;
  info.channels = stored.channels;
  info.eight_bit = stored.eight_bit;
  info.page = tiff ? page : 0;
  info.size = stored.size;
  if (Orientation(info.orientation).swap) std::swap(info.size.width, info.size.height);
  return info;
}

void decode_image(std::span<const std::uint8_t> bytes, const ImageInfo& info, const CropBox& region,
                  int channels, Image& image) {
  SGMAE_ASSERT(channels == 1 || channels == 3);
  const CropBox box = stored_part(info, region);
  if (info.format == ImageFormat::tiff)
    decode_tiff(bytes, info.page, box, channels, image);
  else
    codec(info.format).decode(bytes, box, channels, image);
  turn_upright(image, info.orientation);
}

int count_pages(std::span<const std::uint8_t> bytes) {
  return sniff_format(bytes) == ImageFormat::tiff ? count_tiff_pages(bytes) : 1;
}

void decode_bands(std::span<const std::uint8_t> bytes, const ImageInfo& info, const CropBox& region,
                  int channels, Bands& bands) {
  const bool tiff = info.format == ImageFormat::tiff, png = info.format == ImageFormat::png;
  check(info.channels == channels || (!tiff && !png && (channels == 1 || channels == 3)),
        ExitCode::data, "the image has ", info.channels, " channels, where ", channels,
        " are expected");
  const std::int64_t values =
      std::int64_t{info.size.width} * info.size.height * std::max(1, channels);
  check(values <= max_image_values, ExitCode::data, "the image has ", info.size.width, "x",
        info.size.height, " pixels of ", channels, " channels, more than the limit of ",
        max_image_values, " values; cut it into tiles");
  const CropBox box = stored_part(info, region);
  if (tiff) {
    reshape(bands, {box.width, box.height}, channels);
    decode_tiff_bands(bytes, info.page, box, bands);
  } else if (png) {
    decode_png_bands(bytes, box, bands);
  } else {
    Image image;
    codec(info.format).decode(bytes, box, channels, image);
    reshape(bands, image.size(), channels);
    std::copy(image.pixels.begin(), image.pixels.end(), bands.values.begin());
  }
  SGMAE_ASSERT(bands.channels == channels);
  turn(bands, info.orientation);
}

Image decode_image(std::span<const std::uint8_t> bytes, int channels) {
  const ImageInfo info = read_image_info(bytes);
  Image image;
  decode_image(bytes, info, whole(info.size), channels, image);
  return image;
}

std::optional<Image> decode_alpha(std::span<const std::uint8_t> bytes, const ImageInfo& info) {
  const auto decode = codec(info.format).decode_alpha;
  Image alpha;
  if (decode == nullptr || !decode(bytes, alpha)) return {};
  turn_upright(alpha, info.orientation);
  return alpha;
}

}  // namespace sgmae
