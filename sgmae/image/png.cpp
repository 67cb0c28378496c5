// PNG through libpng, both ways.
#include <png.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/image/codecs.h"
#include "sgmae/image/encode.h"

namespace sgmae {
namespace {

std::size_t big_endian(const std::uint8_t* bytes) {
  return static_cast<std::size_t>(bytes[0]) << 24 | static_cast<std::size_t>(bytes[1]) << 16 |
         static_cast<std::size_t>(bytes[2]) << 8 | bytes[3];
}

// What libpng's callbacks see. Errors jump back into the function that called libpng.
struct PngState {
  std::span<const std::uint8_t> input;
  std::vector<std::uint8_t>* output = nullptr;
  char message[128] = "";
};

[[noreturn]] void on_error(png_structp png, png_const_charp text) {
  auto* state = static_cast<PngState*>(png_get_error_ptr(png));
  std::strncpy(state->message, text, sizeof state->message - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep out, std::size_t count) {
  auto* state = static_cast<PngState*>(png_get_io_ptr(png));
  if (state->input.size() < count) png_error(png, "the file ends too early");
  std::memcpy(out, state->input.data(), count);
  state->input = state->input.subspan(count);
}

void on_write(png_structp png, png_bytep bytes, std::size_t count) {
  auto* state = static_cast<PngState*>(png_get_io_ptr(png));
  state->output->insert(state->output->end(), bytes, bytes + count);
}

struct Reader {
  PngState state;
  png_structp png = nullptr;
  png_infop info = nullptr;

  explicit Reader(std::span<const std::uint8_t> bytes) {
    state.input = bytes;
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state, on_error, on_warning);
    if (png != nullptr) info = png_create_info_struct(png);
    SGMAE_ASSERT(info != nullptr);
  }
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // Runs `step`; libpng's errors become Error(data). `step` must own nothing: a jump out of it runs
  // no destructors.
  template <class Step>
  void guarded(const Step& step) {
    if (setjmp(png_jmpbuf(png)) != 0)
      fail(ExitCode::data, "damaged or truncated PNG: ", static_cast<char*>(state.message));
    step();
  }
};

}  // namespace

StoredInfo read_png_info(std::span<const std::uint8_t> bytes) {
  constexpr std::size_t signature = 8, header = 8, checksum = 4;
  check(bytes.size() >= 33 && std::memcmp(bytes.data() + 12, "IHDR", 4) == 0, ExitCode::data,
        "truncated PNG: the file ends in its header");
  const std::size_t width = big_endian(&bytes[16]), height = big_endian(&bytes[20]);
  check(width < 1'000'000 && height < 1'000'000, ExitCode::data, "the image claims ", width, "x",
        height, " pixels, more than the limit of 1000000 a side");
  StoredInfo info;
  info.size = {static_cast<int>(width), static_cast<int>(height)};
  // By colour type: grey, -, RGB, palette, grey and alpha, -, RGB and alpha.
  constexpr std::array<int, 7> channels_of{1, 3, 3, 3, 2, 3, 4};
  info.channels = channels_of[std::min<std::size_t>(bytes[25], 6)];
  for (std::size_t at = signature; bytes.size() - at >= header;) {
    const std::size_t length = big_endian(&bytes[at]);
    if (length > bytes.size() - at - header) break;
    if (std::memcmp(&bytes[at + 4], "eXIf", 4) == 0) {
      info.orientation = exif_orientation(bytes.subspan(at + header, length));
      break;
    }
    if (length + checksum > bytes.size() - at - header) break;
    at += header + length + checksum;
  }
  return info;
}

void decode_png(std::span<const std::uint8_t> bytes, const CropBox& region, int channels,
                Image& image) {
  Reader reader(bytes);
  png_structp png = reader.png;
  png_infop info = reader.info;
  bool wide_grey = false;
  reader.guarded([&] {
    // Text and unknown chunks play no part; skipping them keeps hostile ones out.
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_set_read_fn(png, &reader.state, on_read);
    png_read_info(png, info);
    const int type = png_get_color_type(png, info), depth = png_get_bit_depth(png, info);
    wide_grey = type == PNG_COLOR_TYPE_GRAY && depth == 16;
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
    if (type == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(png);
    if (depth == 16 && !wide_grey) png_set_strip_16(png);
    png_set_strip_alpha(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
  });
  const std::size_t width = png_get_image_width(png, info);
  const std::size_t height = png_get_image_height(png, info);
  const std::size_t row_bytes = png_get_rowbytes(png, info);
  const int stored_channels = png_get_channels(png, info);
  SGMAE_ASSERT((stored_channels == 1 || stored_channels == 3) &&
               row_bytes == width * static_cast<std::size_t>(wide_grey ? 2 : stored_channels));

  std::vector<std::uint8_t> stored(row_bytes * height);
  std::vector<png_bytep> rows(height);
  for (std::size_t y = 0; y < height; ++y) rows[y] = stored.data() + y * row_bytes;
  // The whole image, so that a damaged file is found out whatever the region.
  reader.guarded([&] { png_read_image(png, rows.data()); });

  // Pillow saturates 16-bit grey at 255 where it drops the lower byte of 16-bit colour.
  if (wide_grey) {
    for (png_bytep row : rows)
      for (std::size_t x = 0; x < width; ++x) row[x] = row[2 * x] != 0 ? 255 : row[2 * x + 1];
  }
  reshape(image, {region.width, region.height}, channels);
  for (int y = 0; y < region.height; ++y)
    convert_pixels(rows[static_cast<std::size_t>(region.y + y)] + region.x * stored_channels,
                   stored_channels,
                   image.pixels.data() + static_cast<std::ptrdiff_t>(y) * region.width * channels,
                   channels, region.width);
}

std::vector<std::uint8_t> encode_png(const ImageView& image) {
  SGMAE_ASSERT((image.channels == 1 || image.channels == 3) && image.width > 0 && image.height > 0);
  std::vector<std::uint8_t> bytes;
  PngState state;
  state.output = &bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &state, on_error, on_warning);
  png_infop info = png != nullptr ? png_create_info_struct(png) : nullptr;
  SGMAE_ASSERT(info != nullptr);
  if (setjmp(png_jmpbuf(png)) != 0) {
    png_destroy_write_struct(&png, &info);
    fail(ExitCode::usage, "cannot make a PNG: ", static_cast<char*>(state.message));
  }
  png_set_write_fn(png, &state, on_write, nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(image.width),
               static_cast<png_uint_32>(image.height), 8,
               image.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  for (int y = 0; y < image.height; ++y) png_write_row(png, image.row(y));
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

void write_png(const std::filesystem::path& path, const Image& image) {
  const std::vector<std::uint8_t> png = encode_png(view(image));
  write_file(path, {reinterpret_cast<const char*>(png.data()), png.size()});
}

}  // namespace sgmae
