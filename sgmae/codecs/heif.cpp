// HEIC through libheif (image/codec_plugin.h).
#include <libheif/heif.h>

#include <cstring>
#include <memory>

#include "sgmae/image/codec_plugin.h"

namespace sgmae {
namespace {

template <class T>
using Owned = std::unique_ptr<T, void (*)(T*)>;

// What is wrong; "" where nothing is.
std::string said(const heif_error& error) {
  if (error.code == heif_error_Ok) return "";
  return std::string("damaged or truncated HEIC (libheif: ") + error.message + ")";
}

void release(const heif_image_handle* handle) {
  heif_image_handle_release(handle);
}

struct Opened {
  Owned<heif_context> context{heif_context_alloc(), heif_context_free};
  std::unique_ptr<const heif_image_handle, void (*)(const heif_image_handle*)> image{nullptr,
                                                                                     release};
};

// The primary image. What turns it (irot, imir) and crops it libheif applies itself; as by the
// standard and by Pillow's plug-in the orientation in an EXIF block counts for nothing.
std::string open(std::span<const std::uint8_t> bytes, Opened& opened) {
  constexpr int longest_side = 32768;
  heif_context* const context = opened.context.get();
  heif_context_set_maximum_image_size_limit(context, longest_side);
  heif_context_set_max_decoding_threads(context, 0);  // images are decoded side by side already
  std::string wrong = said(
      heif_context_read_from_memory_without_copy(context, bytes.data(), bytes.size(), nullptr));
  if (!wrong.empty()) return wrong;
  heif_image_handle* handle = nullptr;
  wrong = said(heif_context_get_primary_image_handle(context, &handle));
  opened.image.reset(handle);
  return wrong;
}

std::string read_info(std::span<const std::uint8_t> bytes, StoredInfo& info) {
  Opened opened;
  if (std::string wrong = open(bytes, opened); !wrong.empty()) return wrong;
  const heif_image_handle* const image = opened.image.get();
  info.size = {heif_image_handle_get_width(image), heif_image_handle_get_height(image)};
  info.channels = heif_image_handle_has_alpha_channel(image) ? 4 : 3;
  return "";
}

std::string decode(std::span<const std::uint8_t> bytes, Image& image) {
  Opened opened;
  if (std::string wrong = open(bytes, opened); !wrong.empty()) return wrong;
  const Owned<heif_decoding_options> options(heif_decoding_options_alloc(),
                                             heif_decoding_options_free);
  options->convert_hdr_to_8bit = 1;
  // Strict decoding only adds that a reserved colour matrix is refused, and libheif 1.15 then loses
  // the decoded image for good; other readers take such an image with the default matrix too.
  options->strict_decoding = 0;
  heif_image* decoded = nullptr;
  const heif_error error = heif_decode_image(opened.image.get(), &decoded, heif_colorspace_RGB,
                                             heif_chroma_interleaved_RGB, options.get());
  const std::unique_ptr<const heif_image, void (*)(const heif_image*)> owned(decoded,
                                                                             heif_image_release);
  if (std::string wrong = said(error); !wrong.empty()) return wrong;
  int stride = 0;
  const std::uint8_t* row =
      heif_image_get_plane_readonly(decoded, heif_channel_interleaved, &stride);
  image.width = heif_image_get_width(decoded, heif_channel_interleaved);
  image.height = heif_image_get_height(decoded, heif_channel_interleaved);
  image.channels = 3;
  if (row == nullptr || image.width <= 0 || image.height <= 0) return "damaged HEIC";
  const std::size_t row_bytes = static_cast<std::size_t>(image.width) * 3;
  image.pixels.resize(row_bytes * static_cast<std::size_t>(image.height));
  for (int y = 0; y < image.height; ++y, row += stride)
    std::memcpy(image.pixels.data() + static_cast<std::size_t>(y) * row_bytes, row, row_bytes);
  return "";
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const CodecPlugin* sgmae_codec_plugin() {
  static const CodecPlugin plugin{std::string("libheif ") + heif_get_version(), read_info, decode};
  return &plugin;
}

}  // namespace sgmae
