// AVIF through libavif (image/codec_plugin.h); of a sequence the first image.
#include <avif/avif.h>

#include <algorithm>
#include <memory>

#include "sgmae/image/codec_plugin.h"

namespace sgmae {
namespace {

using Decoder = std::unique_ptr<avifDecoder, void (*)(avifDecoder*)>;

std::string said(avifResult result) {
  if (result == AVIF_RESULT_OK) return "";
  return std::string("damaged or truncated AVIF (libavif: ") + avifResultToString(result) + ")";
}

std::string open(std::span<const std::uint8_t> bytes, const Decoder& decoder) {
  decoder->maxThreads = 1;  // images are decoded side by side already
  decoder->ignoreExif = decoder->ignoreXMP = AVIF_TRUE;
  decoder->imageSizeLimit = static_cast<std::uint32_t>(max_image_pixels);
  // What Pillow forgives too.
  decoder->strictFlags &=
      ~static_cast<avifStrictFlags>(AVIF_STRICT_PIXI_REQUIRED | AVIF_STRICT_CLAP_VALID);
  std::string wrong = said(avifDecoderSetIOMemory(decoder.get(), bytes.data(), bytes.size()));
  return wrong.empty() ? said(avifDecoderParse(decoder.get())) : wrong;
}

// As EXIF counts. The standard turns first and mirrors then.
int orientation_of(const avifImage& image) {
  const bool mirrored = image.transformFlags & AVIF_TRANSFORM_IMIR;
  const bool left_right = image.imir.mode == 1;
  const int quarters = image.transformFlags & AVIF_TRANSFORM_IROT ? image.irot.angle & 3 : 0;
  constexpr int turned[4] = {1, 8, 3, 6}, and_left_right[4] = {2, 7, 4, 5},
                and_top_bottom[4] = {4, 5, 2, 7};
  if (!mirrored) return turned[quarters];
  return left_right ? and_left_right[quarters] : and_top_bottom[quarters];
}

int channels_of(const avifImage& image) {
  return image.yuvFormat == AVIF_PIXEL_FORMAT_YUV400 ? 1 : 3;
}

std::string read_info(std::span<const std::uint8_t> bytes, StoredInfo& info) {
  const Decoder decoder(avifDecoderCreate(), avifDecoderDestroy);
  if (std::string wrong = open(bytes, decoder); !wrong.empty()) return wrong;
  const avifImage& image = *decoder->image;
  info.size = {static_cast<int>(image.width), static_cast<int>(image.height)};
  info.orientation = orientation_of(image);
  info.channels = channels_of(image) + (decoder->alphaPresent ? 1 : 0);
  return "";
}

std::string decode(std::span<const std::uint8_t> bytes, Image& image) {
  const Decoder decoder(avifDecoderCreate(), avifDecoderDestroy);
  std::string wrong = open(bytes, decoder);
  if (wrong.empty()) wrong = said(avifDecoderNextImage(decoder.get()));
  if (!wrong.empty()) return wrong;
  const avifImage& stored = *decoder->image;
  image.width = static_cast<int>(stored.width);
  image.height = static_cast<int>(stored.height);
  image.channels = 3;
  // With alpha, which is dropped then: libavif would darken colours by it where none is asked for.
  const std::size_t values = stored.alphaPlane ? 4 : 3;
  const std::size_t pixels =
      static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height);
  image.pixels.resize(pixels * values);
  avifRGBImage rgb;
  avifRGBImageSetDefaults(&rgb, &stored);
  rgb.depth = 8;
  rgb.format = stored.alphaPlane ? AVIF_RGB_FORMAT_RGBA : AVIF_RGB_FORMAT_RGB;
  rgb.pixels = image.pixels.data();
  rgb.rowBytes = stored.width * static_cast<std::uint32_t>(values);
  wrong = said(avifImageYUVToRGB(&stored, &rgb));
  for (std::size_t i = 0; values == 4 && i < pixels; ++i)
    std::copy_n(&image.pixels[4 * i], 3, &image.pixels[3 * i]);
  image.pixels.resize(pixels * 3);
  return wrong;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const CodecPlugin* sgmae_codec_plugin() {
  static const CodecPlugin plugin{std::string("libavif ") + avifVersion(), read_info, decode};
  return &plugin;
}

}  // namespace sgmae
