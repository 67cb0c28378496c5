// WebP through libwebp.
#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/image/codecs.h"
#include "sgmae/image/orientation.h"

namespace sgmae {
namespace {

// From the container's chunks.
int webp_orientation(std::span<const std::uint8_t> bytes) {
  const WebPData data{bytes.data(), bytes.size()};
  const std::unique_ptr<WebPDemuxer, void (*)(WebPDemuxer*)> container(WebPDemux(&data),
                                                                       WebPDemuxDelete);
  if (container == nullptr) return 1;
  const auto chunk = [&](const char* name) -> std::span<const std::uint8_t> {
    WebPChunkIterator found;
    if (WebPDemuxGetChunk(container.get(), name, 1, &found) == 0) return {};
    const std::span<const std::uint8_t> body(found.chunk.bytes, found.chunk.size);
    WebPDemuxReleaseChunkIterator(&found);  // the body lies in the file
    return body;
  };
  return orientation_of(chunk("EXIF"), chunk("XMP "));
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
// Channels `first` … `last` of red, green, blue, alpha.
std::vector<std::uint8_t> decode_first_frame(std::span<const std::uint8_t> bytes, ImageSize size,
                                             int first, int last) {
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
  pixels.reserve(count * static_cast<std::size_t>(last - first + 1));
  for (std::size_t i = 0; i < count; ++i, canvas += 4)
    pixels.insert(pixels.end(), canvas + first, canvas + last + 1);
  return pixels;
}

}  // namespace

StoredInfo read_webp_info(std::span<const std::uint8_t> bytes) {
  WebPBitstreamFeatures features;
  check(WebPGetFeatures(bytes.data(), bytes.size(), &features) == VP8_STATUS_OK, ExitCode::data,
        "damaged or truncated WebP header");
  return {{features.width, features.height}, webp_orientation(bytes), features.has_alpha ? 4 : 3};
}

void decode_webp(std::span<const std::uint8_t> bytes, const CropBox& region, int channels,
                 Image& image) {
  WebPBitstreamFeatures features;
  check(WebPGetFeatures(bytes.data(), bytes.size(), &features) == VP8_STATUS_OK, ExitCode::data,
        "damaged or truncated WebP header");
  const ImageSize size{features.width, features.height};
  const std::size_t row_bytes = static_cast<std::size_t>(size.width) * 3;
  const std::vector<std::uint8_t> stored =
      features.has_animation ? decode_first_frame(bytes, size, 0, 2) : decode_still(bytes, size);
  reshape(image, {region.width, region.height}, channels);
  for (int y = 0; y < region.height; ++y)
    convert_pixels(stored.data() + static_cast<std::size_t>(region.y + y) * row_bytes +
                       static_cast<std::size_t>(region.x) * 3,
                   3,
                   image.pixels.data() + static_cast<std::ptrdiff_t>(y) * region.width * channels,
                   channels, region.width);
}

bool decode_webp_alpha(std::span<const std::uint8_t> bytes, Image& alpha) {
  WebPBitstreamFeatures features;
  check(WebPGetFeatures(bytes.data(), bytes.size(), &features) == VP8_STATUS_OK, ExitCode::data,
        "damaged or truncated WebP header");
  if (!features.has_alpha) return false;
  const ImageSize size{features.width, features.height};
  reshape(alpha, size, 1);
  if (features.has_animation) {
    alpha.pixels = decode_first_frame(bytes, size, 3, 3);
    return true;
  }
  std::vector<std::uint8_t> stored(alpha.pixels.size() * 4);
  check(WebPDecodeRGBAInto(bytes.data(), bytes.size(), stored.data(), stored.size(),
                           size.width * 4) != nullptr,
        ExitCode::data, "damaged or truncated WebP");
  for (std::size_t i = 0; i < alpha.pixels.size(); ++i) alpha.pixels[i] = stored[4 * i + 3];
  return true;
}

}  // namespace sgmae
