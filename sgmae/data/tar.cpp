#include "sgmae/data/tar.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

constexpr std::uint64_t block = 512;

// One header block (POSIX.1-1988, section 10.1.1).
struct Header {
  std::array<std::uint8_t, block> bytes{};

  // A text field; it ends at its first zero byte or its last byte.
  std::string_view text(std::size_t at, std::size_t length) const {
    const char* start = reinterpret_cast<const char*>(bytes.data()) + at;
    return {start, ::strnlen(start, length)};
  }

  // A number field: octal digits or, where the first bit is set, big-endian binary (GNU).
  // Nothing when it is neither or does not fit into 63 bits.
  std::optional<std::uint64_t> number(std::size_t at, std::size_t length) const {
    std::uint64_t value = 0;
    if (bytes[at] & 0x80) {
      if (bytes[at] != 0x80) return std::nullopt;  // negative, or too large
      for (std::size_t i = at + 1; i < at + length; ++i) {
        if (value >> 55) return std::nullopt;
        value = value << 8 | bytes[i];
      }
      return value;
    }
    std::string_view digits = text(at, length);
    digits.remove_prefix(std::min(digits.find_first_not_of(' '), digits.size()));
    for (const char digit : digits) {
      if (digit == ' ') break;
      if (digit < '0' || digit > '7' || value >> 60) return std::nullopt;
      value = value << 3 | static_cast<std::uint64_t>(digit - '0');
    }
    return value;
  }

  bool is_zero() const {
    return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0; });
  }

  // The sum of all bytes, those of the checksum itself counted as blanks. Some old writers summed
  // signed bytes.
  bool checksum_fits() const {
    constexpr std::size_t at = 148, length = 8;
    std::int64_t sum = 0, signed_sum = 0;
    for (std::size_t i = 0; i < block; ++i) {
      const std::uint8_t byte = i >= at && i < at + length ? ' ' : bytes[i];
      sum += byte;
      signed_sum += static_cast<std::int8_t>(byte);
    }
    const auto stored = number(at, length);
    return stored && (static_cast<std::int64_t>(*stored) == sum ||
                      static_cast<std::int64_t>(*stored) == signed_sum);
  }

  std::string target() const { return std::string(text(157, 100)); }

  char type() const { return static_cast<char>(bytes[156]); }

  std::string name() const {
    const std::string_view name = text(0, 100);
    // GNU's own variant ("ustar  ") keeps other things in the prefix field.
    const std::string_view prefix =
        std::memcmp(&bytes[257], "ustar\0", 6) == 0 ? text(345, 155) : std::string_view();
    return prefix.empty() ? std::string(name) : std::string(prefix) + "/" + std::string(name);
  }
};

// What a pax header or a GNU long-name entry says about the entry after it.
struct Override {
  std::optional<std::string> name, target;
  std::optional<std::uint64_t> size;
};

std::optional<std::uint64_t> decimal(std::string_view text) {
  std::uint64_t value = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9' || value > (std::uint64_t{1} << 59)) return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  return text.empty() ? std::nullopt : std::optional(value);
}

// pax records: "LENGTH KEY=VALUE\n", LENGTH counting the whole record.
void read_pax(std::string_view records, Override& next) {
  while (!records.empty()) {
    const std::size_t blank = records.find(' ');
    const auto length = decimal(records.substr(0, std::min(blank, records.size())));
    check(blank != std::string_view::npos && length && *length > blank + 1 &&
              *length <= records.size() && records[*length - 1] == '\n',
          ExitCode::data, "damaged tar: a pax header is malformed");
    const std::string_view record = records.substr(blank + 1, *length - blank - 2);
    records.remove_prefix(*length);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
    if (key == "path") next.name = value;
    if (key == "linkpath") next.target = value;
    if (key == "size") {
      next.size = decimal(value);
      check(next.size.has_value(), ExitCode::data, "damaged tar: a pax header claims a size of '",
            value.substr(0, 40), "'");
    }
    check(!key.starts_with("GNU.sparse."), ExitCode::data,
          "the tar contains a sparse file; create it again without --sparse");
  }
}

}  // namespace

void read_tar(const ReadAt& read, std::uint64_t begin, std::uint64_t end,
              const std::function<void(const TarEntry&)>& found) {
  constexpr std::uint64_t longest_text = 1 << 20;
  // Small files lie close together, so several headers come with one read.
  std::array<std::uint8_t, 8 * block> window;
  std::uint64_t window_begin = 0, window_end = 0;
  const auto read_header = [&](std::uint64_t at) {
    if (at < window_begin || at + block > window_end) {
      window_begin = at;
      window_end = std::min<std::uint64_t>(end, at + window.size());
      read(at, std::span(window).first(static_cast<std::size_t>(window_end - at)));
    }
    Header header;
    std::memcpy(header.bytes.data(), window.data() + (at - window_begin), block);
    return header;
  };

  Override next;
  std::uint64_t at = begin;
  while (end - at >= block) {
    const Header header = read_header(at);
    if (header.is_zero()) return;
    check(header.checksum_fits(), ExitCode::data,
          at == begin ? "not a tar archive"
                      : str("damaged tar: no file header where one is expected, at byte ", at));
    at += block;
    const char type = header.type();
    std::optional<std::uint64_t> size = next.size ? next.size : header.number(124, 12);
    // Links, devices and folders have no contents, whatever their header says.
    if (type >= '1' && type <= '6') size = 0;
    const std::string name = next.name ? *next.name : header.name();
    check(size && *size <= end - at, ExitCode::data, "truncated or damaged tar: its file '",
          name.substr(0, 200), "' extends beyond the archive's end");
    if (type == 'L' || type == 'K' || type == 'x') {
      check(*size <= longest_text, ExitCode::data, "damaged tar: a file name of ", *size, " bytes");
      std::string text(static_cast<std::size_t>(*size), '\0');
      read(at, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
      if (type == 'x')
        read_pax(text, next);
      else
        (type == 'L' ? next.name : next.target) = text.substr(0, text.find('\0'));
    } else if (type != 'g') {
      check(type != 'S', ExitCode::data,
            "the tar contains a sparse file; create it again without --sparse");
      TarEntry entry{name, at, *size, TarEntry::Kind::file, ""};
      const bool hard = type == '1';
      if (hard || type == '2') {
        entry.kind = hard ? TarEntry::Kind::hard_link : TarEntry::Kind::symbolic_link;
        entry.target = next.target ? *next.target : header.target();
      } else if (type != '\0' && type != '0' && type != '7') {
        entry.kind = TarEntry::Kind::other;
      }
      // Archives older than POSIX mark a folder by its name.
      if (type != '5' && !(entry.kind == TarEntry::Kind::file && name.ends_with('/'))) found(entry);
      next = {};
    }
    const std::uint64_t padded = (*size + block - 1) / block * block;
    at += std::min(padded, end - at);
  }
}

}  // namespace sgmae
