// PNG through libpng, both ways.
#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/image/codecs.h"
#include "sgmae/image/encode.h"
#include "sgmae/image/orientation.h"

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

// A file's pixels as libpng hands them out.
struct Rows {
  std::vector<std::uint8_t> stored;
  std::vector<png_bytep> rows;  // into `stored`
};

void begin(Reader& reader) {
  reader.guarded([&] {
    // Text and unknown chunks play no part; skipping them keeps hostile ones out.
    png_set_keep_unknown_chunks(reader.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_set_read_fn(reader.png, &reader.state, on_read);
    png_read_info(reader.png, reader.info);
  });
}

// The whole image, so that a damaged file is found out whatever the region.
Rows read_rows(Reader& reader) {
  const std::size_t height = png_get_image_height(reader.png, reader.info);
  const std::size_t row_bytes = png_get_rowbytes(reader.png, reader.info);
  Rows image{std::vector<std::uint8_t>(row_bytes * height), std::vector<png_bytep>(height)};
  for (std::size_t y = 0; y < height; ++y) image.rows[y] = image.stored.data() + y * row_bytes;
  reader.guarded([&] { png_read_image(reader.png, image.rows.data()); });
  return image;
}

using Bytes = std::span<const std::uint8_t>;

// What a text chunk holds: tEXt as it is, zTXt deflated, iTXt either.
struct Text {
  Bytes data;
  bool deflated = false;

  // At most the first MiB of it, as much as Pillow takes; nothing that belongs to an image is
  // longer. Empty where it is damaged.
  std::vector<std::uint8_t> read() const {
    if (!deflated) return {data.begin(), data.end()};
    constexpr std::size_t most = 1 << 20;
    std::vector<std::uint8_t> out(most);
    z_stream stream{};
    if (inflateInit(&stream) != Z_OK) return {};
    stream.next_in = const_cast<Bytef*>(data.data());
    stream.avail_in = static_cast<uInt>(std::min<std::size_t>(data.size(), most));
    stream.next_out = out.data();
    stream.avail_out = static_cast<uInt>(most);
    const int status = inflate(&stream, Z_SYNC_FLUSH);
    out.resize(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR
                   ? most - stream.avail_out
                   : 0);
    inflateEnd(&stream);
    return out;
  }
};

// Everything before the first zero byte, which `bytes` then begins behind.
std::string_view take_word(Bytes& bytes) {
  const auto end = std::find(bytes.begin(), bytes.end(), std::uint8_t{0});
  const std::string_view word(reinterpret_cast<const char*>(bytes.data()),
                              static_cast<std::size_t>(end - bytes.begin()));
  bytes = bytes.subspan(std::min(word.size() + 1, bytes.size()));
  return word;
}

// The body of an iTXt chunk after its keyword: whether it is deflated, and how, a language and a
// translated keyword come first.
Text international(Bytes body) {
  if (body.size() < 2 || (body[0] != 0 && body[1] != 0)) return {};
  const bool deflated = body[0] != 0;
  body = body.subspan(2);
  take_word(body);
  take_word(body);
  return {body, deflated};
}

// ImageMagick's "Raw profile type exif": three lines of heading, then EXIF in hexadecimal digits.
std::vector<std::uint8_t> raw_profile(const std::vector<std::uint8_t>& text) {
  auto at = text.begin();
  for (int line = 0; line < 3; ++line) {
    at = std::find(at, text.end(), std::uint8_t{'\n'});
    if (at == text.end()) return {};
    ++at;
  }
  std::vector<std::uint8_t> bytes;
  int high = -1;
  for (; at != text.end(); ++at) {
    const std::uint8_t c = *at;
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) continue;  // line ends
    if (high >= 0) bytes.push_back(static_cast<std::uint8_t>(high << 4 | digit));
    high = high >= 0 ? -1 : digit;
  }
  return bytes;
}

// From the chunks where Pillow looks for it; of equal ones the last counts.
int png_orientation(Bytes bytes) {
  constexpr std::size_t signature = 8, header = 8, checksum = 4;
  Bytes exif;
  Text profile, xmp;
  for (std::size_t at = signature; at <= bytes.size() && bytes.size() - at >= header;) {
    const std::size_t length = big_endian(&bytes[at]);
    if (length > bytes.size() - at - header) break;
    const std::string_view kind(reinterpret_cast<const char*>(&bytes[at + 4]), 4);
    Bytes body = bytes.subspan(at + header, length);
    if (kind == "IEND") break;
    if (kind == "eXIf") {
      exif = body;
    } else if (kind == "tEXt" || kind == "zTXt" || kind == "iTXt") {
      const std::string_view word = take_word(body);
      Text text{body};
      if (kind == "zTXt") text = {body.subspan(std::min<std::size_t>(1, body.size())), true};
      if (kind == "iTXt") text = international(body);
      if (kind == "tEXt" && word == "exif") exif = body;
      if (word == "Raw profile type exif") profile = text;
      if (word == "XML:com.adobe.xmp") xmp = text;
    }
    at += header + length + checksum;
  }
  if (exif.empty() && profile.data.empty() && xmp.data.empty()) return 1;
  const std::vector<std::uint8_t> packet = xmp.read();
  return exif.empty() ? orientation_of(raw_profile(profile.read()), packet)
                      : orientation_of(exif, packet);
}

}  // namespace

StoredInfo read_png_info(std::span<const std::uint8_t> bytes) {
  check(bytes.size() >= 33 && std::memcmp(bytes.data() + 12, "IHDR", 4) == 0, ExitCode::data,
        "truncated PNG: the file ends in its header (an incomplete download?)");
  StoredInfo info;
  info.size = checked_size(big_endian(&bytes[16]), big_endian(&bytes[20]));
  // By colour type: grey, -, RGB, palette, grey and alpha, -, RGB and alpha.
  constexpr std::array<int, 7> channels_of{1, 3, 3, 3, 2, 3, 4};
  info.channels = channels_of[std::min<std::size_t>(bytes[25], 6)];
  info.orientation = png_orientation(bytes);
  return info;
}

void decode_png(std::span<const std::uint8_t> bytes, const CropBox& region, int channels,
                Image& image) {
  Reader reader(bytes);
  png_structp png = reader.png;
  png_infop info = reader.info;
  bool wide_grey = false;
  begin(reader);
  reader.guarded([&] {
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
  const std::size_t row_bytes = png_get_rowbytes(png, info);
  const int stored_channels = png_get_channels(png, info);
  SGMAE_ASSERT((stored_channels == 1 || stored_channels == 3) &&
               row_bytes == width * static_cast<std::size_t>(wide_grey ? 2 : stored_channels));
  const Rows whole = read_rows(reader);

  // Pillow saturates 16-bit grey at 255 where it drops the lower byte of 16-bit colour.
  if (wide_grey) {
    for (png_bytep row : whole.rows)
      for (std::size_t x = 0; x < width; ++x) row[x] = row[2 * x] != 0 ? 255 : row[2 * x + 1];
  }
  reshape(image, {region.width, region.height}, channels);
  for (int y = 0; y < region.height; ++y)
    convert_pixels(whole.rows[static_cast<std::size_t>(region.y + y)] + region.x * stored_channels,
                   stored_channels,
                   image.pixels.data() + static_cast<std::ptrdiff_t>(y) * region.width * channels,
                   channels, region.width);
}

void decode_png_bands(std::span<const std::uint8_t> bytes, const CropBox& region, Bands& bands) {
  Reader reader(bytes);
  png_structp png = reader.png;
  png_infop info = reader.info;
  begin(reader);
  const bool wide = png_get_bit_depth(png, info) == 16;
  reader.guarded([&] {
    const int type = png_get_color_type(png, info);
    if (type == PNG_COLOR_TYPE_PALETTE) {
      png_set_palette_to_rgb(png);
      png_set_strip_alpha(png);
    } else {
      png_set_packing(png);  // below 8 bits a value to a byte, as it is
    }
    if (wide) png_set_swap(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
  });
  const int channels = png_get_channels(png, info);
  const Rows whole = read_rows(reader);
  reshape(bands, {region.width, region.height}, channels);
  const auto count = static_cast<std::size_t>(region.width * channels);
  const auto first = static_cast<std::size_t>(region.x * channels);
  float* out = bands.values.data();
  for (int y = 0; y < region.height; ++y, out += count) {
    const std::uint8_t* row = whole.rows[static_cast<std::size_t>(region.y + y)];
    for (std::size_t i = 0; i < count; ++i) {
      std::uint16_t value = row[first + i];
      if (wide) std::memcpy(&value, row + 2 * (first + i), 2);
      out[i] = value;
    }
  }
}

void decode_png_values(std::span<const std::uint8_t> bytes, Image& values) {
  Reader reader(bytes);
  png_structp png = reader.png;
  png_infop info = reader.info;
  begin(reader);
  const int type = png_get_color_type(png, info), depth = png_get_bit_depth(png, info);
  constexpr const char* cure = "write one value from 0 to 255 a pixel, as grey or with a palette";
  check((type & PNG_COLOR_MASK_COLOR) == 0 || type == PNG_COLOR_TYPE_PALETTE, ExitCode::data,
        "the labels are colours (", (type & PNG_COLOR_MASK_ALPHA) != 0 ? "RGBA" : "RGB",
        "), and which class a colour means is not known; ", cure);
  check((type & PNG_COLOR_MASK_ALPHA) == 0, ExitCode::data,
        "the labels are grey with transparency; ", cure);
  check(depth <= 8, ExitCode::data, "the labels have 16 bits (numbers of objects, or depth?); ",
        cure);
  reader.guarded([&] {
    if (depth < 8) png_set_packing(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
  });
  const auto width = static_cast<int>(png_get_image_width(png, info));
  const auto height = static_cast<int>(png_get_image_height(png, info));
  SGMAE_ASSERT(png_get_rowbytes(png, info) == static_cast<std::size_t>(width));
  reshape(values, {width, height}, 1);
  std::vector<png_bytep> rows(static_cast<std::size_t>(height));
  for (std::size_t y = 0; y < rows.size(); ++y)
    rows[y] = values.pixels.data() + y * static_cast<std::size_t>(width);
  reader.guarded([&] {
    png_read_image(png, rows.data());
    png_read_end(png, nullptr);
  });
}

bool decode_png_alpha(std::span<const std::uint8_t> bytes, Image& alpha) {
  Reader reader(bytes);
  png_structp png = reader.png;
  png_infop info = reader.info;
  begin(reader);
  if ((png_get_color_type(png, info) & PNG_COLOR_MASK_ALPHA) == 0 &&
      png_get_valid(png, info, PNG_INFO_tRNS) == 0)
    return false;
  reader.guarded([&] {
    png_set_expand(png);
    png_set_strip_16(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
  });
  const auto width = static_cast<int>(png_get_image_width(png, info));
  const auto height = static_cast<int>(png_get_image_height(png, info));
  const int channels = png_get_channels(png, info);
  SGMAE_ASSERT(channels == 2 || channels == 4);
  const Rows whole = read_rows(reader);
  reshape(alpha, {width, height}, 1);
  std::uint8_t* out = alpha.pixels.data();
  for (const std::uint8_t* row : whole.rows)
    for (int x = 0; x < width; ++x) *out++ = row[(x + 1) * channels - 1];
  return true;
}

namespace {

std::vector<std::uint8_t> encode(const ImageView& image, int type,
                                 std::span<const png_color> palette) {
  SGMAE_ASSERT(image.width > 0 && image.height > 0);
  std::vector<std::uint8_t> bytes;
  PngState state;
  state.output = &bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &state, on_error, on_warning);
  png_infop info = png != nullptr ? png_create_info_struct(png) : nullptr;
  SGMAE_ASSERT(info != nullptr);
  if (setjmp(png_jmpbuf(png)) != 0) {
    png_destroy_write_struct(&png, &info);
    fail(ExitCode::usage, "cannot write a PNG: ", static_cast<char*>(state.message));
  }
  png_set_write_fn(png, &state, on_write, nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(image.width),
               static_cast<png_uint_32>(image.height), 8, type, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (!palette.empty()) png_set_PLTE(png, info, palette.data(), static_cast<int>(palette.size()));
  png_write_info(png, info);
  for (int y = 0; y < image.height; ++y) png_write_row(png, image.row(y));
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

}  // namespace

std::vector<std::uint8_t> encode_png(const ImageView& image) {
  SGMAE_ASSERT(image.channels == 1 || image.channels == 3);
  return encode(image, image.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, {});
}

std::vector<std::uint8_t> encode_png_values(
    const ImageView& values, const std::array<std::array<std::uint8_t, 3>, 256>& palette) {
  SGMAE_ASSERT(values.channels == 1);
  std::array<png_color, 256> colours;
  for (std::size_t i = 0; i < colours.size(); ++i)
    colours[i] = {palette[i][0], palette[i][1], palette[i][2]};
  return encode(values, PNG_COLOR_TYPE_PALETTE, colours);
}

void write_png(const std::filesystem::path& path, const Image& image) {
  const std::vector<std::uint8_t> png = encode_png(view(image));
  write_file(path, {reinterpret_cast<const char*>(png.data()), png.size()});
}

}  // namespace sgmae
