#include "sgmae/image/codec_plugin.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <mutex>

#include "sgmae/base/error.h"
#include "sgmae/base/plugin.h"

namespace sgmae {
namespace {

constexpr std::array<PluginFormat, 4> formats{{
    {ImageFormat::heif, "heif", "HEIC", "libheif", "libheif-dev"},
    {ImageFormat::avif, "avif", "AVIF", "libavif", "libavif-dev"},
    {ImageFormat::jxl, "jxl", "JPEG XL", "libjxl", "libjxl-dev"},
    {ImageFormat::jp2, "jp2", "JPEG 2000", "OpenJPEG", "libopenjp2-7-dev"},
}};

std::size_t place_of(ImageFormat format) {
  const auto found = std::find_if(formats.begin(), formats.end(),
                                  [&](const auto& entry) { return entry.format == format; });
  SGMAE_ASSERT(found != formats.end());
  return static_cast<std::size_t>(found - formats.begin());
}

const CodecPlugin& needed(ImageFormat format) {
  std::string why;
  if (const CodecPlugin* const plugin = codec_plugin(format, why)) return *plugin;
  const PluginFormat& wanted = formats[place_of(format)];
  fail(ExitCode::data, "the file is an image in ", wanted.what, ", which is read through ",
       wanted.library, ", and that is not here (", why, "); install Debian's ", wanted.package,
       " and build again, or convert it to PNG or JPEG");
}

}  // namespace

std::span<const PluginFormat> plugin_formats() {
  return formats;
}

const CodecPlugin* codec_plugin(ImageFormat format, std::string& why) {
  struct Opened {
    std::once_flag once;
    const CodecPlugin* plugin = nullptr;
    std::string why;
  };
  static std::array<Opened, formats.size()> all;
  const std::size_t place = place_of(format);
  Opened& opened = all[place];
  std::call_once(opened.once, [&] {
    if (void* const get = open_plugin(formats[place].name, codec_plugin_symbol, opened.why))
      opened.plugin = reinterpret_cast<GetCodecPlugin>(get)();
  });
  why = opened.why;
  return opened.plugin;
}

StoredInfo read_plugin_info(ImageFormat format, std::span<const std::uint8_t> bytes) {
  StoredInfo info;
  const std::string wrong = needed(format).read_info(bytes, info);
  check(wrong.empty(), ExitCode::data, wrong);
  return info;
}

void decode_by_plugin(ImageFormat format, std::span<const std::uint8_t> bytes,
                      const CropBox& region, int channels, Image& image) {
  Image whole;
  const std::string wrong = needed(format).decode(bytes, whole);
  check(wrong.empty(), ExitCode::data, wrong);
  check(region.x + region.width <= whole.width && region.y + region.height <= whole.height,
        ExitCode::data, "the image is ", whole.width, "x", whole.height,
        " pixels, fewer than its header says");
  reshape(image, {region.width, region.height}, channels);
  const ImageView stored = crop(view(whole), region);
  const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(region.width) * channels;
  for (int y = 0; y < region.height; ++y)
    convert_pixels(stored.row(y), stored.channels, image.pixels.data() + y * row, channels,
                   region.width);
}

}  // namespace sgmae
