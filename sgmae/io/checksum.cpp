#include "sgmae/io/checksum.h"

#include <array>
#include <bit>
#include <cstdio>
#include <cstring>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace sgmae {
namespace {

static_assert(std::endian::native == std::endian::little);

// table[k][b]: what byte b does to the CRC k bytes later, so that eight bytes take one step.
using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

const Tables& tables() {
  static const Tables made = [] {
    Tables t{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
      std::uint32_t c = byte;
      for (int bit = 0; bit < 8; ++bit) c = c & 1 ? (c >> 1) ^ 0x82F63B78u : c >> 1;
      t[0][byte] = c;
    }
    for (std::size_t k = 1; k < t.size(); ++k)
      for (std::size_t byte = 0; byte < 256; ++byte)
        t[k][byte] = t[0][t[k - 1][byte] & 0xff] ^ (t[k - 1][byte] >> 8);
    return t;
  }();
  return made;
}

#if defined(__x86_64__)
[[gnu::target("sse4.2")]] std::uint32_t crc32c_by_instruction(std::span<const std::uint8_t> bytes,
                                                              std::uint32_t before) {
  std::uint64_t crc = ~before;
  const std::uint8_t* next = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, next += 8) {
    std::uint64_t word;
    std::memcpy(&word, next, 8);
    crc = _mm_crc32_u64(crc, word);
  }
  auto rest = static_cast<std::uint32_t>(crc);
  for (; left > 0; --left, ++next) rest = _mm_crc32_u8(rest, *next);
  return ~rest;
}
#endif

}  // namespace

std::uint32_t crc32c_by_table(std::span<const std::uint8_t> bytes, std::uint32_t before) {
  const Tables& t = tables();
  std::uint32_t crc = ~before;
  const std::uint8_t* next = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, next += 8) {
    std::uint64_t word;
    std::memcpy(&word, next, 8);
    word ^= crc;
    crc = 0;
    for (std::size_t i = 0; i < 8; ++i) crc ^= t[7 - i][(word >> (8 * i)) & 0xff];
  }
  for (; left > 0; --left, ++next) crc = t[0][(crc ^ *next) & 0xff] ^ (crc >> 8);
  return ~crc;
}

std::uint32_t crc32c(std::span<const std::uint8_t> bytes, std::uint32_t before) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) return crc32c_by_instruction(bytes, before);
#endif
  return crc32c_by_table(bytes, before);
}

std::string checksum_digits(std::uint32_t checksum) {
  char digits[9];
  std::snprintf(digits, sizeof digits, "%08x", checksum);
  return digits;
}

std::optional<std::size_t> checksum_place(std::string_view header) {
  // Quotes inside a JSON string are escaped, so this stands nowhere but where it is meant.
  const std::string before = std::string("\"") + checksum_key + "\":\"";
  const std::size_t found = header.find(before);
  const std::size_t digits = found + before.size();
  if (found == std::string_view::npos || digits + 8 >= header.size() || header[digits + 8] != '"')
    return std::nullopt;
  return digits;
}

Checksum check_checksum(std::span<const std::uint8_t> file) {
  std::uint64_t length = 0;
  if (file.size() < 8) return Checksum::absent;
  std::memcpy(&length, file.data(), 8);
  if (length > file.size() - 8) return Checksum::absent;
  const std::string_view header(reinterpret_cast<const char*>(file.data()) + 8, length);
  const auto place = checksum_place(header);
  if (!place) return Checksum::absent;
  const std::size_t digits = 8 + *place;
  const std::string zeros = checksum_unknown;
  std::uint32_t found = crc32c(file.first(digits));
  found = crc32c({reinterpret_cast<const std::uint8_t*>(zeros.data()), zeros.size()}, found);
  found = crc32c(file.subspan(digits + zeros.size()), found);
  return header.substr(*place, zeros.size()) == checksum_digits(found) ? Checksum::right
                                                                       : Checksum::wrong;
}

void require_intact(const std::filesystem::path& path, const std::string& cure) {
  const MappedFile file(path, ExitCode::checkpoint);
  check(
      check_checksum(file.bytes()) != Checksum::wrong, ExitCode::checkpoint, path.string(),
      ": its bytes do not match its checksum: the file is damaged, or another program changed it; ",
      cure);
}

}  // namespace sgmae
