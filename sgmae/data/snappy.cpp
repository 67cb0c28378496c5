#include "sgmae/data/snappy.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

// Bytes to be copied: the next ones of the text, or (`back` > 0) those so far back in what is
// unpacked.
struct Element {
  std::uint64_t length = 0, back = 0;
};

// Takes the next element's head from the text. False where that is damaged.
bool next_element(std::span<const std::uint8_t>& text, Element& element) {
  const std::uint8_t tag = text[0];
  const auto number = [&](std::size_t bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = bytes; i > 0; --i) value = value << 8 | text[i];
    return value;
  };
  std::size_t more = 0;  // bytes of the head after the tag
  switch (tag & 3) {
    case 0:
      more = tag >> 2 < 60 ? 0 : static_cast<std::size_t>((tag >> 2) - 59);
      if (text.size() <= more) return false;
      element = {(more == 0 ? tag >> 2 : number(more)) + 1, 0};
      break;
    case 1:
      more = 1;
      if (text.size() <= more) return false;
      element = {4u + (tag >> 2 & 7), (tag >> 5) * 256u + number(1)};
      break;
    default:
      more = (tag & 3) == 2 ? 2 : 4;
      if (text.size() <= more) return false;
      element = {1u + (tag >> 2), number(more)};
  }
  text = text.subspan(1 + more);
  const bool literal = (tag & 3) == 0;
  return literal ? element.length <= text.size() : element.back > 0;
}

}  // namespace

std::vector<SnappyPiece> snappy_pieces(std::span<const std::uint8_t> stored, std::uint64_t size) {
  constexpr std::uint64_t piece = 1 << 16;
  std::span<const std::uint8_t> text = stored;
  std::uint64_t claimed = 0;
  for (int shift = 0;; shift += 7) {
    if (text.empty() || shift > 28) return {};
    const std::uint64_t bits = text[0];
    text = text.subspan(1);
    claimed |= (bits & 127) << shift;
    if (bits < 128) break;
  }
  if (claimed != size) return {};
  std::vector<SnappyPiece> pieces;
  std::uint64_t unpacked = 0;
  const auto here = [&] { return SnappyPiece{stored.size() - text.size(), unpacked}; };
  Element element;
  while (!text.empty()) {
    if (unpacked % piece == 0) pieces.push_back(here());
    if (!next_element(text, element)) return {};
    if (element.back == 0)
      text = text.subspan(static_cast<std::size_t>(element.length));
    else if (pieces.empty() || element.back > unpacked - pieces.back().unpacked)
      return {};
    unpacked += element.length;
    if (unpacked > size) return {};
  }
  if (unpacked != size) return {};
  pieces.push_back(here());
  return pieces;
}

void unpack_snappy(std::span<const std::uint8_t> text, std::span<std::uint8_t> out) {
  std::size_t done = 0;
  Element element;
  while (done < out.size()) {
    check(!text.empty() && next_element(text, element) && element.back <= done, ExitCode::data,
          "damaged Snappy compression");
    const std::size_t count = std::min(static_cast<std::size_t>(element.length), out.size() - done);
    if (element.back == 0) {
      std::memcpy(&out[done], text.data(), count);
      text = text.subspan(static_cast<std::size_t>(element.length));
    } else {  // what is copied may be what this writes
      const std::uint8_t* from = &out[done - static_cast<std::size_t>(element.back)];
      for (std::size_t i = 0; i < count; ++i) out[done + i] = from[i];
    }
    done += count;
  }
}

}  // namespace sgmae
