// What the targets of the plug-ins in sgmae/codecs do.
#pragma once

#include "fuzz/fuzz.h"
#include "sgmae/image/codec_plugin.h"

extern "C" const sgmae::CodecPlugin* sgmae_codec_plugin();

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  if (size < 4) return 0;  // too few for any format to be recognised
  StoredInfo info;
  const CodecPlugin& plugin = *sgmae_codec_plugin();
  if (!plugin.read_info({data, size}, info).empty()) return 0;
  if (std::int64_t{info.size.width} * info.size.height > 1 << 16) return 0;  // only slower
  Image image;
  if (plugin.decode({data, size}, image).empty()) {
    if (image.pixels.size() != static_cast<std::size_t>(image.width) *
                                   static_cast<std::size_t>(image.height) *
                                   static_cast<std::size_t>(image.channels))
      std::abort();
    use(image.pixels);
  }
  return 0;
}
