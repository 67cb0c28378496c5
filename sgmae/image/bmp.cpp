// BMP (Windows bitmap). Read here, because no library that is kept up reads it: Debian 12 has none
// but those inside of toolkits. What no usual program writes is refused: embedded JPEG and PNG,
// OS/2's own compressions, 2 and 64 bits a pixel.
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/image/codecs.h"

namespace sgmae {
namespace {

using Bytes = std::span<const std::uint8_t>;
using Colour = std::array<std::uint8_t, 3>;

std::uint32_t little_endian(Bytes bytes, std::size_t at, std::size_t count) {
  check(at <= bytes.size() && bytes.size() - at >= count, ExitCode::data,
        "truncated BMP: the file ends in its header (an incomplete download?)");
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < count; ++i)
    value |= static_cast<std::uint32_t>(bytes[at + i]) << 8 * i;
  return value;
}

enum Compression : std::uint32_t { none = 0, rle8 = 1, rle4 = 2, bit_fields = 3 };

// Which bits of a pixel hold a colour; scaled to 0 … 255.
struct Field {
  std::uint32_t mask = 0;
  std::uint8_t operator()(std::uint32_t pixel) const {
    if (mask == 0) return 0;
    const int shift = std::countr_zero(mask);
    const std::uint64_t most = mask >> shift;
    return static_cast<std::uint8_t>(((pixel & mask) >> shift) * std::uint64_t{255} / most);
  }
};

struct Bmp {
  ImageSize size;
  bool top_down = false;
  std::size_t bits = 0;  // a pixel: 1, 4, 8 (numbers of colours), 16, 24, 32
  Compression compression = none;
  std::array<Field, 3> fields;  // red, green, blue, with more than 8 bits
  std::vector<Colour> palette;  // with up to 8 bits; 256 entries, those not in the file black
  bool grey = false;            // all colours of the palette are
  std::size_t pixels_at = 0;

  std::size_t row_bytes() const {
    return (static_cast<std::size_t>(size.width) * bits + 31) / 32 * 4;
  }
};

Bmp read_header(Bytes bytes) {
  constexpr std::size_t file_header = 14;
  Bmp bmp;
  const std::size_t header = little_endian(bytes, file_header, 4);
  const auto at = [&](std::size_t offset, std::size_t count) {
    return little_endian(bytes, file_header + offset, count);
  };
  const bool old = header == 12;  // OS/2 1.x
  const std::int64_t height =
      old ? std::int64_t{at(6, 2)} : std::int64_t{static_cast<std::int32_t>(at(8, 4))};
  bmp.size = checked_size(old ? at(4, 2) : at(4, 4),
                          static_cast<std::uint64_t>(height < 0 ? -height : height));
  bmp.top_down = height < 0;
  bmp.bits = old ? at(10, 2) : at(14, 2);
  const std::uint32_t compression = old ? 0 : at(16, 4);
  const std::uint32_t colours = old ? 0 : at(32, 4);
  const bool indexed = bmp.bits == 1 || bmp.bits == 4 || bmp.bits == 8;
  check(indexed || bmp.bits == 16 || bmp.bits == 24 || bmp.bits == 32, ExitCode::data, "a BMP of ",
        bmp.bits, " bits a pixel, which is not read; convert it to PNG");
  check(compression == none || (compression == rle8 && bmp.bits == 8) ||
            (compression == rle4 && bmp.bits == 4) || (compression == bit_fields && !indexed),
        ExitCode::data, "a BMP of ", bmp.bits, " bits a pixel with compression ", compression,
        ", which is not read; convert it to PNG");
  bmp.compression = static_cast<Compression>(compression);
  bmp.pixels_at = little_endian(bytes, 10, 4);

  std::size_t after = file_header + header;  // where palette or masks are
  if (indexed) {
    const std::size_t entry = old ? 3 : 4;
    const std::size_t entries = colours != 0 ? colours : std::size_t{1} << bmp.bits;
    bmp.palette.assign(256, {});
    for (std::size_t i = 0; i < std::min<std::size_t>(entries, 256); ++i) {
      const std::uint32_t bgr = little_endian(bytes, after + i * entry, 3);
      bmp.palette[i] = {static_cast<std::uint8_t>(bgr >> 16), static_cast<std::uint8_t>(bgr >> 8),
                        static_cast<std::uint8_t>(bgr)};
    }
    bmp.grey = std::all_of(bmp.palette.begin(), bmp.palette.end(),
                           [](const Colour& c) { return c[0] == c[1] && c[1] == c[2]; });
    // Some writers forget the palette when they say where pixels begin.
    if (bmp.pixels_at == after) bmp.pixels_at += entries * entry;
    after += entries * entry;
  } else if (bmp.compression == bit_fields) {
    // Behind the header of 40 bytes, in later ones at the same place inside.
    for (std::size_t c = 0; c < 3; ++c) bmp.fields[c].mask = at(40 + 4 * c, 4);
    if (header == 40) after += 12;
    for (const Field& field : bmp.fields)
      check(field.mask == 0 ||
                std::has_single_bit(std::uint64_t{field.mask >> std::countr_zero(field.mask)} + 1),
            ExitCode::data,
            "a BMP whose colours have scattered bits, which is not read; convert it to PNG");
  } else if (bmp.bits == 16) {
    bmp.fields = {Field{0x7c00}, Field{0x03e0}, Field{0x001f}};
  }
  if (!indexed && std::all_of(bmp.fields.begin(), bmp.fields.end(),
                              [](const Field& field) { return field.mask == 0; }))
    bmp.fields = {Field{0xff0000}, Field{0xff00}, Field{0xff}};
  if (bmp.pixels_at == 0) bmp.pixels_at = after;
  return bmp;
}

// Run-length coded numbers of colours, rows in the file's order. Pixels that are skipped are 0.
std::vector<std::uint8_t> unpack_runs(const Bmp& bmp, Bytes bytes) {
  const auto width = static_cast<std::size_t>(bmp.size.width);
  const auto height = static_cast<std::size_t>(bmp.size.height);
  const bool nibbles = bmp.compression == rle4;
  std::vector<std::uint8_t> numbers(width * height);
  std::size_t at = bmp.pixels_at, x = 0, y = 0;
  const auto next = [&] {
    check(at < bytes.size(), ExitCode::data,
          "truncated BMP: its pixels end too early (an incomplete download?)");
    return bytes[at++];
  };
  const auto put = [&](unsigned number) {  // what runs over its row is dropped
    if (x < width) numbers[y * width + x++] = static_cast<std::uint8_t>(number);
  };
  constexpr int end_of_row = 0, end_of_image = 1, skip = 2;
  while (y < height) {
    const int count = next(), value = next();
    if (count > 0) {
      for (int i = 0; i < count; ++i)
        put(static_cast<unsigned>(!nibbles ? value : i % 2 == 0 ? value >> 4 : value & 15));
    } else if (value == end_of_row) {
      x = 0;
      ++y;
    } else if (value == end_of_image) {
      break;
    } else if (value == skip) {
      x = std::min<std::size_t>(x + next(), width);
      y += next();
    } else {  // so many pixels as they are, padded to 16 bits
      const int stored = nibbles ? (value + 1) / 2 : value;
      for (int i = 0; i < stored; ++i) {
        const int byte = next();
        put(static_cast<unsigned>(nibbles ? byte >> 4 : byte));
        if (nibbles && 2 * i + 1 < value) put(static_cast<unsigned>(byte & 15));
      }
      if (stored % 2 != 0) next();
    }
    // The end of the image may be left out.
    if (y + 1 == height && x == width && at >= bytes.size()) break;
  }
  return numbers;
}

}  // namespace

StoredInfo read_bmp_info(std::span<const std::uint8_t> bytes) {
  const Bmp bmp = read_header(bytes);
  return {bmp.size, 1, bmp.grey ? 1 : 3};
}

void decode_bmp(std::span<const std::uint8_t> bytes, const CropBox& region, int channels,
                Image& image) {
  const Bmp bmp = read_header(bytes);
  const auto width = static_cast<std::size_t>(bmp.size.width);
  const auto height = static_cast<std::size_t>(bmp.size.height);
  std::vector<std::uint8_t> numbers;
  if (bmp.compression == rle8 || bmp.compression == rle4) {
    numbers = unpack_runs(bmp, bytes);
  } else {
    const std::size_t needed = bmp.row_bytes() * (height - 1) + (width * bmp.bits + 7) / 8;
    check(bmp.pixels_at <= bytes.size() && bytes.size() - bmp.pixels_at >= needed, ExitCode::data,
          "truncated BMP: its pixels end too early (an incomplete download?)");
  }
  reshape(image, {region.width, region.height}, channels);
  const auto first = static_cast<std::size_t>(region.x);
  const auto count = static_cast<std::size_t>(region.width);
  std::vector<std::uint8_t> colours(count * 3);
  for (int y = 0; y < region.height; ++y) {
    const auto upright = static_cast<std::size_t>(region.y + y);
    const std::size_t stored = bmp.top_down ? upright : height - 1 - upright;
    const std::uint8_t* row =
        numbers.empty() ? bytes.data() + bmp.pixels_at + stored * bmp.row_bytes() : nullptr;
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t x = first + i;
      Colour colour;
      if (!bmp.palette.empty()) {
        const std::size_t in_byte = 8 - bmp.bits - x * bmp.bits % 8;
        const std::size_t number = row == nullptr
                                       ? numbers[stored * width + x]
                                       : row[x * bmp.bits / 8] >> in_byte & ((1u << bmp.bits) - 1);
        colour = bmp.palette[number];
      } else {
        const std::size_t pixel_bytes = bmp.bits / 8;
        std::uint32_t pixel = 0;
        for (std::size_t k = 0; k < pixel_bytes; ++k)
          pixel |= static_cast<std::uint32_t>(row[x * pixel_bytes + k]) << 8 * k;
        for (std::size_t c = 0; c < 3; ++c) colour[c] = bmp.fields[c](pixel);
      }
      std::copy(colour.begin(), colour.end(), colours.begin() + static_cast<std::ptrdiff_t>(3 * i));
    }
    convert_pixels(colours.data(), 3,
                   image.pixels.data() + static_cast<std::ptrdiff_t>(y) * region.width * channels,
                   channels, region.width);
  }
}

}  // namespace sgmae
