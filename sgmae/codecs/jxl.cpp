// JPEG XL through libjxl (image/codec_plugin.h); of an animation the first frame.
#include <jxl/decode.h>

#include <memory>

#include "sgmae/image/codec_plugin.h"

namespace sgmae {
namespace {

constexpr const char* damaged = "damaged or truncated JPEG XL";

using Decoder = std::unique_ptr<JxlDecoder, void (*)(JxlDecoder*)>;

// Reads as far as the header. libjxl turns pixels upright, and says the size that they have then.
std::string open(std::span<const std::uint8_t> bytes, const Decoder& decoder, int events,
                 JxlBasicInfo& info) {
  if (JxlDecoderSubscribeEvents(decoder.get(), events) != JXL_DEC_SUCCESS ||
      JxlDecoderSetInput(decoder.get(), bytes.data(), bytes.size()) != JXL_DEC_SUCCESS)
    return damaged;
  // The input stays open: libjxl writes to standard error where a closed one ends too early.
  if (JxlDecoderProcessInput(decoder.get()) != JXL_DEC_BASIC_INFO ||
      JxlDecoderGetBasicInfo(decoder.get(), &info) != JXL_DEC_SUCCESS)
    return damaged;
  if (std::uint64_t{info.xsize} * info.ysize > static_cast<std::uint64_t>(max_image_pixels))
    return "the image claims " + std::to_string(info.xsize) + "x" + std::to_string(info.ysize) +
           " pixels, more than the limit of " + std::to_string(max_image_pixels);
  return "";
}

std::string read_info(std::span<const std::uint8_t> bytes, StoredInfo& info) {
  const Decoder decoder(JxlDecoderCreate(nullptr), JxlDecoderDestroy);
  JxlBasicInfo header;
  if (std::string wrong = open(bytes, decoder, JXL_DEC_BASIC_INFO, header); !wrong.empty())
    return wrong;
  info.size = {static_cast<int>(header.xsize), static_cast<int>(header.ysize)};
  info.channels = static_cast<int>(header.num_color_channels) + (header.alpha_bits > 0 ? 1 : 0);
  return "";
}

std::string decode(std::span<const std::uint8_t> bytes, Image& image) {
  const Decoder decoder(JxlDecoderCreate(nullptr), JxlDecoderDestroy);
  JxlBasicInfo header;
  if (std::string wrong = open(bytes, decoder, JXL_DEC_BASIC_INFO | JXL_DEC_FULL_IMAGE, header);
      !wrong.empty())
    return wrong;
  image.width = static_cast<int>(header.xsize);
  image.height = static_cast<int>(header.ysize);
  image.channels = static_cast<int>(header.num_color_channels);
  image.pixels.resize(static_cast<std::size_t>(image.width) *
                      static_cast<std::size_t>(image.height) *
                      static_cast<std::size_t>(image.channels));
  const JxlPixelFormat format{header.num_color_channels, JXL_TYPE_UINT8, JXL_NATIVE_ENDIAN, 1};
  std::size_t needed = 0;
  if (JxlDecoderProcessInput(decoder.get()) != JXL_DEC_NEED_IMAGE_OUT_BUFFER ||
      JxlDecoderImageOutBufferSize(decoder.get(), &format, &needed) != JXL_DEC_SUCCESS ||
      needed != image.pixels.size() ||
      JxlDecoderSetImageOutBuffer(decoder.get(), &format, image.pixels.data(), needed) !=
          JXL_DEC_SUCCESS ||
      JxlDecoderProcessInput(decoder.get()) != JXL_DEC_FULL_IMAGE)
    return damaged;
  return "";
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const CodecPlugin* sgmae_codec_plugin() {
  const std::uint32_t version = JxlDecoderVersion();
  static const CodecPlugin plugin{"libjxl " + std::to_string(version / 1'000'000) + "." +
                                      std::to_string(version / 1000 % 1000) + "." +
                                      std::to_string(version % 1000),
                                  read_info, decode};
  return &plugin;
}

}  // namespace sgmae
