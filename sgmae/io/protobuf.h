// The wire format of protocol buffers, as far as files that we write need it. Each appends a field
// to a message. No torch here.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace sgmae::protobuf {

enum class WireType { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

inline void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

inline void put_tag(std::string& out, int field, WireType type) {
  put_varint(out, static_cast<std::uint64_t>(field << 3 | static_cast<int>(type)));
}

inline void put_integer(std::string& out, int field, std::int64_t value) {
  put_tag(out, field, WireType::varint);
  put_varint(out, static_cast<std::uint64_t>(value));
}

// What stands before `size` bytes of a text, of bytes or of a message within the message.
inline void put_length(std::string& out, int field, std::uint64_t size) {
  put_tag(out, field, WireType::bytes);
  put_varint(out, size);
}

inline void put_bytes(std::string& out, int field, std::string_view bytes) {
  put_length(out, field, bytes.size());
  out += bytes;
}

// The bytes of a number as they lie in memory.
template <class T>
void put_raw(std::string& out, T value) {
  static_assert(std::endian::native == std::endian::little);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

inline void put_float(std::string& out, int field, float value) {
  put_tag(out, field, WireType::fixed32);
  put_raw(out, value);
}

inline void put_double(std::string& out, int field, double value) {
  put_tag(out, field, WireType::fixed64);
  put_raw(out, value);
}

}  // namespace sgmae::protobuf
