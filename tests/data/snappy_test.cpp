// Oracle: texts written out by hand from Snappy's description of its format; whole files in
// table_source_test.cpp.
#include "sgmae/data/snappy.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/errors.h"

namespace sgmae {
namespace {

using Bytes = std::vector<std::uint8_t>;

// A literal of a length that is told in two bytes.
void add_literal(Bytes& text, std::size_t length, std::uint8_t first) {
  text.push_back(61 << 2);
  text.push_back(static_cast<std::uint8_t>(length - 1));
  text.push_back(static_cast<std::uint8_t>((length - 1) >> 8));
  for (std::size_t i = 0; i < length; ++i) text.push_back(static_cast<std::uint8_t>(first + i));
}

void add_length(Bytes& text, std::uint64_t length) {
  for (; length > 127; length >>= 7) text.push_back(static_cast<std::uint8_t>(length | 128));
  text.push_back(static_cast<std::uint8_t>(length));
}

TEST(Snappy, ElementsOfEveryKind) {
  Bytes text{3 << 2, 'a', 'b', 'c', 'd'};
  text.insert(text.end(), {0x01, 2});                 // 4 bytes from 2 back: what it writes itself
  text.insert(text.end(), {5 << 2 | 2, 8, 0});        // 6 from 8 back
  text.insert(text.end(), {0 << 2 | 3, 1, 0, 0, 0});  // one from 1 back
  text.insert(text.end(), {60 << 2, 1, 'y', 'z'});
  Bytes out(17);
  unpack_snappy(text, out);
  EXPECT_EQ(std::string(out.begin(), out.end()), "abcdcdcdabcdcddyz");
  for (std::size_t size = 0; size < text.size(); ++size)
    error_of(ExitCode::data, [&] { unpack_snappy({text.data(), size}, out); });
  out.resize(6);  // what follows does not matter
  unpack_snappy({text.data(), 7}, out);
  EXPECT_EQ(std::string(out.begin(), out.end()), "abcdcd");
  const Bytes before{0, 'a', 0x01, 2};  // refers to what was before
  out.resize(5);
  error_of(ExitCode::data, [&] { unpack_snappy(before, out); });
}

TEST(Snappy, PiecesCanBeUnpackedAlone) {
  constexpr std::size_t piece = 1 << 16;
  Bytes text;
  add_length(text, 2 * piece + 10);
  const std::size_t head = text.size();
  add_literal(text, piece, 0);
  const std::size_t second = text.size();
  add_literal(text, piece - 4, 7);
  text.insert(text.end(), {0x01, 100});
  const std::size_t third = text.size();
  add_literal(text, 10, 9);
  const std::vector<SnappyPiece> expected{
      {head, 0}, {second, piece}, {third, 2 * piece}, {text.size(), 2 * piece + 10}};
  EXPECT_EQ(snappy_pieces(text, 2 * piece + 10), expected);
  Bytes out(piece);
  unpack_snappy(std::span(text).subspan(second, third - second), out);
  EXPECT_EQ(out[0], 7);
  EXPECT_EQ(out[piece - 1], out[piece - 101]);

  EXPECT_TRUE(snappy_pieces(text, 2 * piece + 9).empty());
  EXPECT_TRUE(snappy_pieces({text.data(), text.size() - 1}, 2 * piece + 10).empty());
  text[third - 2] = 0xe0 | 0x01;  // 4 bytes from 1892 back: still within
  EXPECT_FALSE(snappy_pieces(text, 2 * piece + 10).empty());
  Bytes across;  // a copy that reaches over the border
  add_length(across, piece + 5);
  add_literal(across, piece, 0);
  across.insert(across.end(), {0, 'x', 0x01, 2});
  EXPECT_TRUE(snappy_pieces(across, piece + 5).empty());
}

}  // namespace
}  // namespace sgmae
