#include "sgmae/image/orientation.h"

#include <bit>
#include <cstddef>
#include <limits>
#include <string_view>

namespace sgmae {
namespace {

using Bytes = std::span<const std::uint8_t>;

std::string_view text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool valid(double orientation) {
  return orientation >= 1 && orientation <= 8;
}

enum FieldType : std::size_t {
  type_short = 3,
  type_long = 4,
  type_rational = 5,
  type_signed_byte = 6,
  type_signed_short = 8,
  type_signed_long = 9,
  type_signed_rational = 10,
  type_float = 11,
  type_double = 12,
  type_ifd = 13,
  type_long8 = 16
};

// Bytes of one value, by type; 0 for types that TIFF does not have.
constexpr std::size_t value_bytes[]{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8};

// A TIFF header and the directory it points to.
class Directory {
 public:
  struct Field {
    std::size_t type;
    Bytes data;
  };

  explicit Directory(Bytes tiff) : tiff_(tiff) {
    if (tiff.size() < 8) return;
    const std::string_view order = text(tiff.first(2));
    if (order != "II" && order != "MM") return;
    little_ = order == "II";
    // Some writers confuse the byte order of the version alone.
    const std::size_t version = static_cast<std::size_t>(tiff[2] + tiff[3]);
    if ((version != 42 && version != 43) || (tiff[2] != 0 && tiff[3] != 0)) return;
    big_ = version == 43;
    directory_ = big_ ? read(8, 8) : read(4, 4);
  }

  // The first field with this tag whose data lie in the block. As in Pillow, data beyond the end
  // end the directory, and data that together cannot fit are passed over.
  std::optional<Field> find(std::size_t wanted) const {
    const std::size_t count_bytes = big_ ? 8 : 2, entry_bytes = big_ ? 20 : 12;
    const std::size_t word = big_ ? 8 : 4;
    if (directory_ == 0 || !holds(directory_, count_bytes)) return std::nullopt;
    const std::size_t entries = read(directory_, count_bytes);
    std::size_t entry = directory_ + count_bytes, outside = 0;
    for (std::size_t i = 0; i < entries && holds(entry, entry_bytes); ++i, entry += entry_bytes) {
      const std::size_t type = read(entry + 2, 2), count = read(entry + 4, word);
      const std::size_t unit = type < std::size(value_bytes) ? value_bytes[type] : 0;
      if (unit == 0 || count == 0) continue;
      std::size_t at = entry + 4 + word, size = count * unit;
      if (count > word / unit) {
        const std::size_t room = tiff_.size() - outside;
        if (count > room / unit) {
          outside = tiff_.size();
          continue;
        }
        outside += size;
        at = read(at, word);
        if (!holds(at, size)) return std::nullopt;
      }
      if (read(entry, 2) == wanted) return Field{type, tiff_.subspan(at, size)};
    }
    return std::nullopt;
  }

  // The first value of a field; 0 of one that is no number.
  double number(const Field& field) const {
    const auto at = static_cast<std::size_t>(field.data.data() - tiff_.data());
    switch (field.type) {
      case type_short:
        return static_cast<double>(read(at, 2));
      case type_long:
      case type_ifd:
        return static_cast<double>(read(at, 4));
      case type_long8:
        return static_cast<double>(read(at, 8));
      case type_signed_byte:
        return static_cast<std::int8_t>(read(at, 1));
      case type_signed_short:
        return static_cast<std::int16_t>(read(at, 2));
      case type_signed_long:
        return static_cast<std::int32_t>(read(at, 4));
      case type_rational:
        return static_cast<double>(read(at, 4)) / static_cast<double>(read(at + 4, 4));
      case type_signed_rational:
        return static_cast<double>(static_cast<std::int32_t>(read(at, 4))) /
               static_cast<std::int32_t>(read(at + 4, 4));
      case type_float:
        return std::bit_cast<float>(static_cast<std::uint32_t>(read(at, 4)));
      case type_double:
        return std::bit_cast<double>(read(at, 8));
      default:
        return 0;
    }
  }

 private:
  bool holds(std::size_t at, std::size_t bytes) const {
    return at <= tiff_.size() && tiff_.size() - at >= bytes;
  }
  std::size_t read(std::size_t at, std::size_t bytes) const {
    if (!holds(at, bytes)) return 0;
    std::size_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i)
      value |= static_cast<std::size_t>(tiff_[at + i]) << 8 * (little_ ? i : bytes - 1 - i);
    return value;
  }

  Bytes tiff_;
  bool little_ = true, big_ = false;
  std::size_t directory_ = 0;  // 0: this is no TIFF
};

}  // namespace

std::optional<int> exif_orientation(std::span<const std::uint8_t> tiff) {
  constexpr std::string_view prefix{"Exif\0\0", 6};
  for (int i = 0; i < 2 && text(tiff).starts_with(prefix); ++i) tiff = tiff.subspan(prefix.size());
  const Directory directory(tiff);
  const auto field = directory.find(0x0112);
  if (!field) return std::nullopt;
  const double value = directory.number(*field);
  return valid(value) && value == static_cast<int>(value) ? static_cast<int>(value) : 1;
}

std::span<const std::uint8_t> tiff_xmp(std::span<const std::uint8_t> tiff) {
  const auto field = Directory(tiff).find(700);
  return field ? field->data : Bytes{};
}

std::optional<int> xmp_orientation(std::span<const std::uint8_t> xmp) {
  constexpr std::string_view name = "tiff:Orientation";
  const std::string_view packet = text(xmp);
  for (std::size_t at = packet.find(name); at != packet.npos; at = packet.find(name, at)) {
    at += name.size();
    std::string_view rest = packet.substr(at);
    const std::size_t skip = rest.starts_with("=\"") ? 2 : rest.starts_with(">") ? 1 : 0;
    if (skip == 0 || rest.size() <= skip || rest[skip] < '0' || rest[skip] > '9') continue;
    const int value = rest[skip] - '0';
    return valid(value) ? value : 1;
  }
  return std::nullopt;
}

}  // namespace sgmae
