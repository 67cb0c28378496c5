// JPEG 2000 through OpenJPEG (image/codec_plugin.h), in its file format (.jp2) or bare (.j2k).
#include <openjpeg.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>

#include "sgmae/image/codec_plugin.h"

namespace sgmae {
namespace {

constexpr const char* damaged = "damaged or truncated JPEG 2000";

struct Input {
  std::span<const std::uint8_t> bytes;
  std::size_t at = 0;
};

OPJ_SIZE_T read(void* out, OPJ_SIZE_T count, void* data) {
  Input& input = *static_cast<Input*>(data);
  const std::size_t left = input.bytes.size() - input.at;
  if (left == 0) return static_cast<OPJ_SIZE_T>(-1);
  count = std::min<OPJ_SIZE_T>(count, left);
  std::memcpy(out, input.bytes.data() + input.at, count);
  input.at += count;
  return count;
}

OPJ_OFF_T skip(OPJ_OFF_T count, void* data) {
  Input& input = *static_cast<Input*>(data);
  const auto left = static_cast<OPJ_OFF_T>(input.bytes.size() - input.at);
  if (count < 0 || count > left) return -1;
  input.at += static_cast<std::size_t>(count);
  return count;
}

OPJ_BOOL seek(OPJ_OFF_T at, void* data) {
  Input& input = *static_cast<Input*>(data);
  if (at < 0 || at > static_cast<OPJ_OFF_T>(input.bytes.size())) return OPJ_FALSE;
  input.at = static_cast<std::size_t>(at);
  return OPJ_TRUE;
}

struct Opened {
  Input input;
  std::unique_ptr<opj_stream_t, void (*)(opj_stream_t*)> stream{nullptr, opj_stream_destroy};
  std::unique_ptr<opj_codec_t, void (*)(opj_codec_t*)> codec{nullptr, opj_destroy_codec};
  std::unique_ptr<opj_image_t, void (*)(opj_image_t*)> image{nullptr, opj_image_destroy};
};

std::string open(std::span<const std::uint8_t> bytes, Opened& opened) {
  opened.input.bytes = bytes;
  opened.stream.reset(opj_stream_default_create(OPJ_TRUE));
  opj_stream_set_user_data(opened.stream.get(), &opened.input, nullptr);
  opj_stream_set_user_data_length(opened.stream.get(), bytes.size());
  opj_stream_set_read_function(opened.stream.get(), read);
  opj_stream_set_skip_function(opened.stream.get(), skip);
  opj_stream_set_seek_function(opened.stream.get(), seek);
  const bool bare = bytes[0] == 0xff;
  opened.codec.reset(opj_create_decompress(bare ? OPJ_CODEC_J2K : OPJ_CODEC_JP2));
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  opj_image_t* image = nullptr;
  const bool read = opj_setup_decoder(opened.codec.get(), &parameters) &&
                    opj_decoder_set_strict_mode(opened.codec.get(), OPJ_TRUE) &&
                    opj_read_header(opened.stream.get(), opened.codec.get(), &image);
  opened.image.reset(image);
  if (!read || image->x1 <= image->x0 || image->y1 <= image->y0 || image->numcomps == 0)
    return damaged;
  constexpr std::uint32_t most_bands = 16;  // each takes four bytes a pixel
  if (image->numcomps > most_bands)
    return "a JPEG 2000 of " + std::to_string(image->numcomps) + " bands, which is not read";
  const std::uint64_t width = image->x1 - image->x0, height = image->y1 - image->y0;
  if (width > 1'000'000 || height > 1'000'000 ||
      width * height > static_cast<std::uint64_t>(max_image_pixels))
    return "the image claims " + std::to_string(width) + "x" + std::to_string(height) +
           " pixels, more than the limit of " + std::to_string(max_image_pixels);
  return "";
}

ImageSize size_of(const opj_image_t& image) {
  return {static_cast<int>(image.x1 - image.x0), static_cast<int>(image.y1 - image.y0)};
}

std::string read_info(std::span<const std::uint8_t> bytes, StoredInfo& info) {
  Opened opened;
  if (std::string wrong = open(bytes, opened); !wrong.empty()) return wrong;
  info.size = size_of(*opened.image);
  info.channels = std::min(static_cast<int>(opened.image->numcomps), 4);
  return "";
}

// Value of a band at a pixel in 8 bits; of deeper ones the highest 8, as Pillow has it.
std::uint8_t value_at(const opj_image_comp_t& band, int x, int y) {
  x = std::min(x / static_cast<int>(band.dx), static_cast<int>(band.w) - 1);
  y = std::min(y / static_cast<int>(band.dy), static_cast<int>(band.h) - 1);
  const int bits = static_cast<int>(band.prec);
  int value = band.data[static_cast<std::size_t>(y) * band.w + static_cast<std::size_t>(x)];
  if (band.sgnd) value += 1 << (bits - 1);
  value = bits > 8 ? value >> (bits - 8) : value << (8 - bits);
  return static_cast<std::uint8_t>(std::clamp(value, 0, 255));
}

// From JPEG's YCbCr.
void to_rgb(std::uint8_t* pixel) {
  const double y = pixel[0], cb = pixel[1] - 128.0, cr = pixel[2] - 128.0;
  const std::array<double, 3> rgb{y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr,
                                  y + 1.772 * cb};
  for (std::size_t c = 0; c < 3; ++c)
    pixel[c] = static_cast<std::uint8_t>(std::clamp(std::lround(rgb[c]), 0l, 255l));
}

std::string decode(std::span<const std::uint8_t> bytes, Image& image) {
  Opened opened;
  if (std::string wrong = open(bytes, opened); !wrong.empty()) return wrong;
  opj_image_t& stored = *opened.image;
  if (!opj_decode(opened.codec.get(), opened.stream.get(), &stored) ||
      !opj_end_decompress(opened.codec.get(), opened.stream.get()))
    return damaged;
  const ImageSize size = size_of(stored);
  image.width = size.width;
  image.height = size.height;
  image.channels = stored.numcomps < 3 ? 1 : 3;
  for (int c = 0; c < image.channels; ++c) {
    const opj_image_comp_t& band = stored.comps[c];
    if (!band.data || band.w == 0 || band.h == 0 || band.dx == 0 || band.dy == 0 ||
        band.prec == 0 || band.prec > 31)
      return damaged;
  }
  image.pixels.resize(static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height) *
                      static_cast<std::size_t>(image.channels));
  const bool luma =
      image.channels == 3 && (stored.color_space == OPJ_CLRSPC_SYCC ||
                              (stored.color_space != OPJ_CLRSPC_SRGB && stored.comps[1].dx > 1));
  std::uint8_t* out = image.pixels.data();
  for (int y = 0; y < size.height; ++y)
    for (int x = 0; x < size.width; ++x, out += image.channels) {
      for (int c = 0; c < image.channels; ++c) out[c] = value_at(stored.comps[c], x, y);
      if (luma) to_rgb(out);
    }
  return "";
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const CodecPlugin* sgmae_codec_plugin() {
  static const CodecPlugin plugin{std::string("OpenJPEG ") + opj_version(), read_info, decode};
  return &plugin;
}

}  // namespace sgmae
