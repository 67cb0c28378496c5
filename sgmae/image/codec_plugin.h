// Formats whose libraries may be missing: HEIC, AVIF, JPEG XL and JPEG 2000, each read by a plug-in
// of its own, sgmae/codecs/NAME.cpp, which is opened at the first such image.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "sgmae/image/codecs.h"
#include "sgmae/image/decode.h"

namespace sgmae {

// What a plug-in gives. Both functions return what is wrong, or "" where all is well.
struct CodecPlugin {
  std::string library;  // its name and version
  std::string (*read_info)(std::span<const std::uint8_t> bytes, StoredInfo& info);
  // The whole image as it is stored, with 1 channel or 3, of the size that read_info() says.
  std::string (*decode)(std::span<const std::uint8_t> bytes, Image& image);
};

// The one function that a plug-in exports, by this name.
inline constexpr const char* codec_plugin_symbol = "sgmae_codec_plugin";
using GetCodecPlugin = const CodecPlugin* (*)();

// One of those formats.
struct PluginFormat {
  ImageFormat format;
  const char* name;               // of the plug-in, as name_of() has it
  const char* what;               // for people: "HEIC"
  const char *library, *package;  // what reads it, and in which of Debian's packages that is
};
std::span<const PluginFormat> plugin_formats();

// Null where the plug-in is missing, and then `why` says so. Safe to call from several threads.
const CodecPlugin* codec_plugin(ImageFormat format, std::string& why);

// As the functions of codecs.h. A missing plug-in is an Error(data) too, which names the cure.
StoredInfo read_plugin_info(ImageFormat format, std::span<const std::uint8_t> bytes);
void decode_by_plugin(ImageFormat format, std::span<const std::uint8_t> bytes,
                      const CropBox& region, int channels, Image& image);

}  // namespace sgmae
