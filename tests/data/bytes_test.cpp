// Oracle: numbers written out by hand.
#include "sgmae/data/bytes.h"

#include <gtest/gtest.h>

#include <set>

#include "folder.h"

namespace sgmae {
namespace {

TEST(Bytes, LittleEndianAndBack) {
  ByteWriter writer;
  writer.number(std::uint32_t{0x01020304});
  writer.number(std::int32_t{-2});
  writer.text("ab");
  writer.number(std::uint8_t{7});
  writer.number(std::int64_t{-5'000'000'000});
  EXPECT_EQ(
      (std::vector<std::uint8_t>(writer.bytes().begin(), writer.bytes().begin() + 15)),
      (std::vector<std::uint8_t>{4, 3, 2, 1, 0xfe, 0xff, 0xff, 0xff, 2, 0, 0, 0, 'a', 'b', 7}));
  ByteReader reader(writer.bytes());
  EXPECT_EQ(reader.number<std::uint32_t>(), 0x01020304u);
  EXPECT_EQ(reader.number<std::int32_t>(), -2);
  EXPECT_EQ(reader.text(), "ab");
  EXPECT_EQ(reader.number<std::uint8_t>(), 7);
  EXPECT_EQ(reader.number<std::int64_t>(), -5'000'000'000);
  EXPECT_EQ(reader.left(), 0u);
  error_of(ExitCode::data, [&] { reader.number<std::uint8_t>(); });
}

TEST(Bytes, LengthsAndCountsThatDoNotFit) {
  ByteWriter writer;
  writer.number(std::uint32_t{0xffffffff});
  writer.number(std::uint32_t{0x7fffffff});
  error_of(ExitCode::data, [&] { ByteReader(writer.bytes()).text(); });
  error_of(ExitCode::data, [&] { ByteReader(writer.bytes()).count(1); });
  ByteWriter two;
  two.count(2);
  two.number(std::uint64_t{0});
  EXPECT_EQ(ByteReader(two.bytes()).count(4), 2u);
  error_of(ExitCode::data, [&] { ByteReader(two.bytes()).count(5); });
}

// Single bits, lengths, and the places of pieces all count.
TEST(Hash64, TellsContentsApart) {
  std::set<std::uint64_t> values;
  std::size_t made = 0;
  const auto add = [&](const std::vector<std::uint8_t>& bytes) {
    Hash64 hash;
    hash.add(bytes);
    values.insert(hash.value());
    ++made;
  };
  for (std::size_t length = 0; length < 40; ++length) add(std::vector<std::uint8_t>(length));
  for (std::size_t bit = 0; bit < 8 * 40; ++bit) {
    std::vector<std::uint8_t> bytes(40);
    bytes[bit / 8] = static_cast<std::uint8_t>(1 << bit % 8);
    add(bytes);
  }
  EXPECT_EQ(values.size(), made);
  Hash64 ab, ba;
  ab.add(std::string_view("a"));
  ab.add(std::string_view("b"));
  ba.add(std::string_view("b"));
  ba.add(std::string_view("a"));
  EXPECT_NE(ab.value(), ba.value());
}

}  // namespace
}  // namespace sgmae
