// WebP through libwebp.
#include <webp/decode.h>
#include <webp/demux.h>

#include <cstring>
#include <memory>
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

// Whole: libwebp's own cropping smooths chroma differently at the crop's edges.
std::vector<std::uint8_t> decode_still(std::span<const std::uint8_t> bytes, ImageSize size) {
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(size.width) *
                                   static_cast<std::size_t>(size.height) * 3);
  check(WebPDecodeRGBInto(bytes.data(), bytes.size(), pixels.data(), pixels.size(),
                          size.width * 3) != nullptr,
        ExitCode::data, "damaged or truncated WebP");
  return pixels;
}

// The first frame of an animation, on its canvas; like Pillow, without regard to transparency.
std::vector<std::uint8_t> decode_first_frame(std::span<const std::uint8_t> bytes, ImageSize size) {
  WebPAnimDecoderOptions options;
  SGMAE_ASSERT(WebPAnimDecoderOptionsInit(&options));
  options.color_mode = MODE_RGBA;
  const WebPData data{bytes.data(), bytes.size()};
  const std::unique_ptr<WebPAnimDecoder, void (*)(WebPAnimDecoder*)> decoder(
      WebPAnimDecoderNew(&data, &options), WebPAnimDecoderDelete);
  std::uint8_t* canvas = nullptr;
  int milliseconds = 0;
  WebPAnimInfo info;
  check(decoder != nullptr && WebPAnimDecoderGetInfo(decoder.get(), &info) &&
            static_cast<int>(info.canvas_width) == size.width &&
            static_cast<int>(info.canvas_height) == size.height &&
            WebPAnimDecoderGetNext(decoder.get(), &canvas, &milliseconds),
        ExitCode::data, "damaged or truncated animated WebP");
  std::vector<std::uint8_t> pixels;
  const std::size_t count =
      static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height);
  pixels.reserve(count * 3);
  for (std::size_t i = 0; i < count; ++i, canvas += 4)
    pixels.insert(pixels.end(), canvas, canvas + 3);
  return pixels;
}

}  // namespace

StoredInfo read_webp_info(std::span<const std::uint8_t> bytes) {
  WebPBitstreamFeatures features;
  check(WebPGetFeatures(bytes.data(), bytes.size(), &features) == VP8_STATUS_OK, ExitCode::data,
        "damaged or truncated WebP header");
  return {{features.width, features.height},
          exif_orientation(exif_chunk(bytes)),
          features.has_alpha ? 4 : 3};
}

void decode_webp(std::span<const std::uint8_t> bytes, const CropBox& region, int channels,
                 Image& image) {
  WebPBitstreamFeatures features;
  check(WebPGetFeatures(bytes.data(), bytes.size(), &features) == VP8_STATUS_OK, ExitCode::data,
        "damaged or truncated WebP header");
  const ImageSize size{features.width, features.height};
  const std::size_t row_bytes = static_cast<std::size_t>(size.width) * 3;
  const std::vector<std::uint8_t> stored =
      features.has_animation ? decode_first_frame(bytes, size) : decode_still(bytes, size);
  reshape(image, {region.width, region.height}, channels);
  for (int y = 0; y < region.height; ++y)
    convert_pixels(stored.data() + static_cast<std::size_t>(region.y + y) * row_bytes +
                       static_cast<std::size_t>(region.x) * 3,
                   3,
                   image.pixels.data() + static_cast<std::ptrdiff_t>(y) * region.width * channels,
                   channels, region.width);
}

}  // namespace sgmae
