// Little-endian numbers and texts in bytes, for the files this folder writes itself.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "sgmae/base/error.h"

namespace sgmae {

// Reads foreign bytes from front to back. Throws Error(data) when they end too early.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::uint8_t> bytes) : rest_(bytes) {}

  std::size_t left() const { return rest_.size(); }

  template <class T>
  T number() {
    static_assert(std::is_integral_v<T>);
    const auto bytes = take(sizeof(T));
    std::make_unsigned_t<T> value = 0;
    for (std::size_t i = sizeof(T); i-- > 0;)
      value = static_cast<std::make_unsigned_t<T>>(value << (sizeof(T) > 1 ? 8 : 0) | bytes[i]);
    return static_cast<T>(value);
  }

  std::string text() {  // its length in 32 bits, its bytes
    const auto bytes = take(number<std::uint32_t>());
    return {bytes.begin(), bytes.end()};
  }

  // How many items of at least `smallest` bytes each follow; a count that the rest cannot hold is
  // an error here, before anybody makes room for it.
  std::size_t count(std::size_t smallest) {
    const auto items = number<std::uint64_t>();
    check(items <= left() / smallest, ExitCode::data, "damaged: a count of ", items, " where only ",
          left(), " bytes follow");
    return static_cast<std::size_t>(items);
  }

 private:
  std::span<const std::uint8_t> take(std::size_t size) {
    check(size <= rest_.size(), ExitCode::data, "damaged: it ends too early");
    const auto taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }

  std::span<const std::uint8_t> rest_;
};

class ByteWriter {
 public:
  template <class T>
  void number(T value) {
    static_assert(std::is_integral_v<T>);
    auto bits = static_cast<std::uint64_t>(value);
    for (std::size_t i = 0; i < sizeof(T); ++i, bits >>= 8)
      bytes_.push_back(static_cast<std::uint8_t>(bits));
  }
  void text(std::string_view text) {
    number(static_cast<std::uint32_t>(text.size()));
    bytes_.insert(bytes_.end(), text.begin(), text.end());
  }
  void count(std::size_t items) { number(static_cast<std::uint64_t>(items)); }

  const std::vector<std::uint8_t>& bytes() const { return bytes_; }

 private:
  std::vector<std::uint8_t> bytes_;
};

// A 64-bit hash, taken up bit by bit: the same bytes in the same pieces give the same value.
// It tells contents apart; it does not resist anyone who wants a collision.
class Hash64 {
 public:
  void add(std::span<const std::uint8_t> bytes) {
    std::size_t i = 0;
    for (; i + 8 <= bytes.size(); i += 8) {
      std::uint64_t word;
      std::memcpy(&word, bytes.data() + i, 8);
      mix(word);
    }
    std::uint64_t last = 0;
    for (; i < bytes.size(); ++i) last = last << 8 | bytes[i];
    mix(last);
    mix(bytes.size());
  }
  void add(std::string_view text) {
    add({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  }
  void add(std::int64_t value) { mix(static_cast<std::uint64_t>(value)); }

  std::uint64_t value() const {
    std::uint64_t x = state_;
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
    return x ^ x >> 32;
  }

 private:
  void mix(std::uint64_t word) {
    // Multiplying by an odd number loses nothing; the shift brings high bits back to low ones.
    state_ = (state_ ^ word) * 0x9e3779b97f4a7c15u;
    state_ ^= state_ >> 29;
  }

  std::uint64_t state_ = 0x243f6a8885a308d3u;
};

}  // namespace sgmae
