// Oracle: Pillow by the files turned_*.* of decode_test.cpp; here what Pillow does not read, and
// hostile blocks.
#include "sgmae/image/orientation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "sgmae/base/rng.h"

namespace sgmae {
namespace {

std::vector<std::uint8_t> bytes_of(std::string_view text) {
  return {text.begin(), text.end()};
}

using namespace std::string_view_literals;

// A block of one entry: orientation 6 as SHORT.
constexpr std::string_view little = "II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"sv;
constexpr std::string_view big = "MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"sv;

TEST(Orientation, BothByteOrders) {
  EXPECT_EQ(exif_orientation(bytes_of(little)), 6);
  EXPECT_EQ(exif_orientation(bytes_of(big)), 6);
}

// BigTIFF in Motorola order, which Pillow announces and does not read.
TEST(Orientation, BigTiff) {
  EXPECT_EQ(exif_orientation(bytes_of("MM\0+\0\x08\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\1"
                                      "\1\x12\0\3\0\0\0\0\0\0\0\1\0\6\0\0\0\0\0\0"sv)),
            6);
}

// Nothing was said, which leaves room for XMP; or something that turns nothing.
TEST(Orientation, NothingAndNothingValid) {
  EXPECT_EQ(exif_orientation({}), std::nullopt);
  EXPECT_EQ(exif_orientation(bytes_of("Exif\0\0"sv)), std::nullopt);
  EXPECT_EQ(exif_orientation(bytes_of("no TIFF at all")), std::nullopt);
  auto other = bytes_of(little);
  other[10] = 0x13;
  EXPECT_EQ(exif_orientation(other), std::nullopt);
  auto nine = bytes_of(little);
  nine[18] = 9;
  EXPECT_EQ(exif_orientation(nine), 1);
  const auto xmp = bytes_of("tiff:Orientation=\"8\"");
  EXPECT_EQ(orientation_of(nine, xmp), 1);
  EXPECT_EQ(orientation_of(other, xmp), 8);
  EXPECT_EQ(orientation_of({}, {}), 1);
}

TEST(Orientation, Xmp) {
  const auto said = [](std::string_view text) { return xmp_orientation(bytes_of(text)); };
  EXPECT_EQ(said("<a tiff:Orientation=\"3\"/>"), 3);
  EXPECT_EQ(said("<tiff:Orientation>5</tiff:Orientation>"), 5);
  EXPECT_EQ(said("tiff:Orientation tiff:Orientation=\"x\" tiff:Orientation=\"7"), 7);
  EXPECT_EQ(said("tiff:Orientation=\"0\" tiff:Orientation=\"7\""), 1);
  EXPECT_EQ(said("tiff:Orientation="), std::nullopt);
  EXPECT_EQ(said("Orientation=\"3\""), std::nullopt);
}

// Rationals: 6/1, and 6/0, which is no number from 1 to 8.
TEST(Orientation, Rational) {
  auto block = bytes_of(little);
  block[12] = 5;
  block[18] = 26;
  const auto with = [&](std::string_view value) {
    auto whole = block;
    whole.insert(whole.end(), value.begin(), value.end());
    return exif_orientation(whole);
  };
  EXPECT_EQ(with("\6\0\0\0\1\0\0\0"sv), 6);
  EXPECT_EQ(with("\6\0\0\0\0\0\0\0"sv), 1);
  EXPECT_EQ(with("\6\0\0\0\4\0\0\0"sv), 1);
  EXPECT_EQ(with("\6\0\0\0"sv), std::nullopt);  // lies beyond the end
}

// Any bytes give an orientation or none. (Run under ASan for the rest.)
TEST(Orientation, HostileBlocks) {
  Rng rng(1, 0, 0, Purpose::augment);
  int found = 0;
  for (int i = 0; i < 20'000; ++i) {
    auto block = bytes_of(i % 2 == 0 ? little : big);
    for (std::int64_t k = rng.below(4); k > 0; --k)
      block[static_cast<std::size_t>(rng.below(static_cast<std::int64_t>(block.size())))] =
          static_cast<std::uint8_t>(rng.below(256));
    block.resize(block.size() - static_cast<std::size_t>(rng.below(6)));
    const auto value = exif_orientation(block);
    if (value) {
      ++found;
      ASSERT_TRUE(*value >= 1 && *value <= 8);
    }
    const auto xmp = tiff_xmp(block);
    ASSERT_LE(xmp.size(), block.size());
  }
  EXPECT_GT(found, 1000);
}

}  // namespace
}  // namespace sgmae
