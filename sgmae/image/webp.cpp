// WebP through libwebp.
#include <webp/decode.h>

#include <cstring>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/image/codecs.h"

namespace sgmae {
namespace {

// The EXIF block of the RIFF container, if there is one.
std::span<const std::uint8_t> exif_chunk(std::span<const std::uint8_t> bytes) {
  constexpr std::size_t riff_header = 12, chunk_header = 8;
  for (std::size_t at = riff_header; at + chunk_header <= bytes.size();) {
    const std::uint8_t* header = &bytes[at];
    const std::size_t length =
        static_cast<std::size_t>(header[4]) | static_cast<std::size_t>(header[5]) << 8 |
        static_cast<std::size_t>(header[6]) << 16 | static_cast<std::size_t>(header[7]) << 24;
    const std::size_t body = at + chunk_header;
    if (length > bytes.size() - body) break;
    if (std::memcmp(header, "EXIF", 4) == 0) {
      auto block = bytes.subspan(body, length);
      if (block.size() >= 6 && std::memcmp(block.data(), "Exif\0\0", 6) == 0)
        block = block.subspan(6);
      return block;
    }
    at = body + length + length % 2;
  }
  return {};
}

}  // namespace

StoredInfo read_webp_info(std::span<const std::uint8_t> bytes) {
  WebPBitstreamFeatures features;
  check(WebPGetFeatures(bytes.data(), bytes.size(), &features) == VP8_STATUS_OK, ExitCode::data,
        "damaged or truncated WebP header");
  check(!features.has_animation, ExitCode::data,
        "animated WebP is not supported; save its first frame as a still image");
  return {{features.width, features.height}, exif_orientation(exif_chunk(bytes))};
}

void decode_webp(std::span<const std::uint8_t> bytes, const CropBox& region, int channels,
                 Image& image) {
  const ImageSize size = read_webp_info(bytes).size;
  const std::size_t row_bytes = static_cast<std::size_t>(size.width) * 3;
  // Whole: libwebp's own cropping smooths chroma differently at the crop's edges.
  std::vector<std::uint8_t> stored(row_bytes * static_cast<std::size_t>(size.height));
  check(WebPDecodeRGBInto(bytes.data(), bytes.size(), stored.data(), stored.size(),
                          static_cast<int>(row_bytes)) != nullptr,
        ExitCode::data, "damaged or truncated WebP");
  reshape(image, {region.width, region.height}, channels);
  for (int y = 0; y < region.height; ++y)
    convert_pixels(stored.data() + static_cast<std::size_t>(region.y + y) * row_bytes +
                       static_cast<std::size_t>(region.x) * 3,
                   3,
                   image.pixels.data() + static_cast<std::ptrdiff_t>(y) * region.width * channels,
                   channels, region.width);
}

}  // namespace sgmae
