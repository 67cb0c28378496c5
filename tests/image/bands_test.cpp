// Oracle: TIFFs written by tifffile whose numbers follow a rule that the test follows too, and
// PyTorch's antialiased resizes (tests/golden/bands.py).
#include "sgmae/image/bands.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "sgmae/image/decode.h"
#include "tests/image/golden.h"
#include "tests/support/errors.h"

namespace sgmae {
namespace {

std::string path_of(const std::string& file) {
  return std::string(SGMAE_TEST_DATA) + "/bands/" + file;
}

std::vector<std::uint8_t> bytes_of(const std::string& file) {
  const std::string text = read_text(path_of(file));
  return {text.begin(), text.end()};
}

nlohmann::json golden_bands(const std::string& part) {
  return nlohmann::json::parse(read_text(path_of("golden.json")))[part];
}

// The image that the script's rule gives.
Bands expected(const nlohmann::json& entry) {
  Bands bands;
  reshape(bands, {entry["width"], entry["height"]}, entry["channels"]);
  const std::int64_t modulus = entry["modulus"];
  for (std::size_t i = 0; i < bands.values.size(); ++i)
    bands.values[i] = static_cast<float>(
        static_cast<double>((7919 * static_cast<std::int64_t>(i) + 13) % modulus) *
            entry["scale"].get<double>() +
        entry["offset"].get<double>());
  return bands;
}

Bands part_of(const Bands& whole, const CropBox& box) {
  Bands part;
  reshape(part, {box.width, box.height}, whole.channels);
  for (int y = 0; y < box.height; ++y)
    std::copy_n(
        whole.values.begin() + ((box.y + y) * std::ptrdiff_t{whole.width} + box.x) * whole.channels,
        box.width * whole.channels,
        part.values.begin() + std::ptrdiff_t{y} * box.width * whole.channels);
  return part;
}

TEST(Bands, EqualTifffileAndOurRule) {
  for (const auto& entry : golden_bands("tiff")) {
    const std::string file = entry["file"];
    SCOPED_TRACE(file);
    const auto bytes = bytes_of(file);
    const bool pages = entry.value("pages", false);
    const ImageInfo info = read_image_info(bytes, pages ? all_pages : 0);
    const Bands whole_image = expected(entry);
    ASSERT_EQ(info.size, whole_image.size());
    ASSERT_EQ(info.channels, whole_image.channels);
    EXPECT_EQ(info.eight_bit, entry["eight_bit"].get<bool>());
    EXPECT_EQ(count_pages(bytes), pages ? 4 : 1);
    for (const CropBox& box : {whole(info.size), CropBox{2, 1, 4, 3}}) {
      Bands bands;
      decode_bands(bytes, info, box, info.channels, bands);
      EXPECT_EQ(bands.values, part_of(whole_image, box).values);
    }
    if (pages) continue;  // of which the first alone is read with 8 bits
    Image pixels;
    std::string refusal;
    const ExitCode code =
        exit_code([&] { decode_image(bytes, info, whole(info.size), 3, pixels); }, &refusal);
    EXPECT_EQ(code, info.eight_bit ? ExitCode::done : ExitCode::data);
    EXPECT_EQ(info.eight_bit, refusal.find("--values stored") == std::string::npos) << refusal;
  }
}

TEST(Bands, NoDataByTheTagOfGdal) {
  for (const auto& entry : golden_bands("tiff")) {
    const auto bytes = bytes_of(entry["file"]);
    std::optional<double> expected;
    if (entry.contains("nodata")) expected = entry["nodata"].get<double>();
    EXPECT_EQ(nodata_tag(bytes, read_image_info(bytes)), expected) << entry["file"];
  }
  // The tag's text is at its end "-29987 ", of which there is one.
  const auto bytes = bytes_of("i16_3_nodata.tif");
  const auto tag_of = [&](const std::string& text) {
    std::string file(bytes.begin(), bytes.end());
    file.replace(file.find("-29987 "), text.size(), text);
    const std::vector<std::uint8_t> changed(file.begin(), file.end());
    return nodata_tag(changed, read_image_info(changed));
  };
  EXPECT_EQ(tag_of("  +1e3 "), 1000);
  EXPECT_EQ(tag_of("-3.4e38"), -3.4e38);
  for (const char* text :
       {"nan    ", "-inf   ", "1e300  ", "none   ", "1 2    ", "       ", "1e999  "})
    EXPECT_EQ(tag_of(text), std::nullopt) << text;
  // Of another type than text it is not GDAL's: the entry is tag, type, count, offset.
  std::string file(bytes.begin(), bytes.end());
  const std::size_t at = file.find(std::string("\x81\xa4\x02\x00", 4));
  ASSERT_NE(at, std::string::npos);
  for (const char type : {1, 3, 4, 7, 12}) {
    file[at + 2] = type;
    const std::vector<std::uint8_t> changed(file.begin(), file.end());
    EXPECT_EQ(nodata_tag(changed, read_image_info(changed)), std::nullopt) << int{type};
  }
}

TEST(Bands, APageOfSeveral) {
  const auto bytes = bytes_of("u16_pages.tif");
  for (int page = 0; page < 3; ++page) {
    const ImageInfo info = read_image_info(bytes, page);
    EXPECT_EQ(info.channels, 1);
    EXPECT_TRUE(info.eight_bit);
    Bands bands;
    decode_bands(bytes, info, {0, 0, 1, 1}, 1, bands);
    EXPECT_EQ(bands.values[0], (7919 * page + 13) % 60000);
    Image pixels;  // the 8-bit reading of a page is that page's too: 16-bit grey saturates
    decode_image(bytes, info, {0, 0, 1, 1}, 1, pixels);
    EXPECT_EQ(pixels.pixels[0], std::min((7919 * page + 13) % 60000, 255));
  }
  EXPECT_EQ(read_image_info(bytes, 3).channels, 2);  // the smaller version before it is none
  EXPECT_NE(error_of(ExitCode::data, [&] { read_image_info(bytes, 4); }).find("no page 5"),
            std::string::npos);
}

// JPEG and the like have no other values than 8 bits, and palettes stand for colours.
TEST(Bands, OtherFormatsAsTheirPixels) {
  for (const char* file :
       {"420.jpg", "palette.png", "palette.tif", "lossy.webp", "grey_2bit.png"}) {
    const std::string text = read_text(golden_path(file));
    const std::vector<std::uint8_t> bytes(text.begin(), text.end());
    const ImageInfo info = read_image_info(bytes);
    Bands bands;
    decode_bands(bytes, info, whole(info.size), info.channels, bands);
    const Image pixels = decode_image(bytes, info.channels);
    ASSERT_EQ(bands.values.size(), pixels.pixels.size()) << file;
    const int step = std::string(file) == "grey_2bit.png" ? 85 : 1;  // stored 0 to 3
    for (std::size_t i = 0; i < bands.values.size(); ++i)
      ASSERT_EQ(bands.values[i] * static_cast<float>(step), pixels.pixels[i]) << file;
  }
}

// Turned as 8-bit pixels are.
TEST(Bands, Upright) {
  for (const char* file : {"turned5.tif", "turned8.tif"}) {
    const std::string text = read_text(golden_path(file));
    const std::vector<std::uint8_t> bytes(text.begin(), text.end());
    const ImageInfo info = read_image_info(bytes);
    Bands bands;
    const CropBox box{1, 2, info.size.width - 2, info.size.height - 3};
    ASSERT_EQ(info.channels, 3);
    decode_bands(bytes, info, box, 3, bands);
    Image pixels;
    decode_image(bytes, info, box, 3, pixels);
    EXPECT_TRUE(std::equal(pixels.pixels.begin(), pixels.pixels.end(), bands.values.begin()))
        << file;
  }
}

// Where a field's value stands in the directory of a little-endian file.
std::size_t place_of_tag(const std::vector<std::uint8_t>& bytes, int tag) {
  std::uint32_t at = 0;
  std::memcpy(&at, &bytes[4], 4);
  for (at += 2; bytes[at] + 256 * bytes[at + 1] != tag; at += 12) {
  }
  return at + 8;
}

std::uint32_t tag_of(const std::vector<std::uint8_t>& bytes, int tag) {
  std::uint32_t value = 0;
  std::memcpy(&value, &bytes[place_of_tag(bytes, tag)], 4);
  return value;
}

std::vector<std::uint8_t> with_tag(const std::string& file, int tag, std::uint32_t value) {
  auto bytes = bytes_of(file);
  std::memcpy(&bytes[place_of_tag(bytes, tag)], &value, 4);
  return bytes;
}

// What Error(data) says of a file; "" where it is read.
std::string refusal_of(const std::vector<std::uint8_t>& bytes) {
  std::string message;
  const ExitCode code = exit_code(
      [&] {
        const ImageInfo info = read_image_info(bytes);
        Bands bands;
        decode_bands(bytes, info, whole(info.size), info.channels, bands);
      },
      &message);
  EXPECT_EQ(code, message.empty() ? ExitCode::done : ExitCode::data);
  return message;
}

// A TIFF that claims so many 8-bit bands, and holds one pixel of them.
std::vector<std::uint8_t> tiff_of_bands(std::uint32_t bands, std::uint32_t width,
                                        std::uint32_t height) {
  std::vector<std::uint8_t> bytes{'I', 'I', 42, 0};
  const auto put = [&](std::uint32_t value, int count) {
    for (int i = 0; i < count; ++i) bytes.push_back(static_cast<std::uint8_t>(value >> 8 * i));
  };
  constexpr std::uint32_t entries = 9, directory = 8, bits = directory + 2 + entries * 12 + 4;
  const std::uint32_t pixels = bits + 2 * bands;
  put(directory, 4);
  put(entries, 2);
  const std::uint32_t table[entries][4] = {
      {256, 4, 1, width}, {257, 4, 1, height}, {258, 3, bands, bits},
      {259, 3, 1, 1},     {262, 3, 1, 1},      {273, 4, 1, pixels},
      {277, 3, 1, bands}, {278, 4, 1, height}, {279, 4, 1, bands}};
  for (const auto& [tag, type, count, value] : table) {
    put(tag, 2);
    put(type, 2);
    put(count, 4);
    put(value, 4);
  }
  put(0, 4);
  for (std::uint32_t i = 0; i < bands; ++i) put(8, 2);
  bytes.resize(bytes.size() + bands, 7);
  return bytes;
}

TEST(Bands, BadTiffsAreRefused) {
  const auto expect = [](const std::vector<std::uint8_t>& bytes, const std::string& why) {
    const std::string refusal = refusal_of(bytes);
    EXPECT_NE(refusal.find(why), std::string::npos) << why << ": " << refusal;
  };
  EXPECT_EQ(read_image_info(tiff_of_bands(1024, 1, 1)).channels, 1024);
  expect(tiff_of_bands(65535, 1, 1), "65535 bands, more than the limit of 1024");
  expect(tiff_of_bands(1000, 1000, 1000), "more than the limit of 268435456 values");
  expect(tiff_of_bands(5, 100'000, 10'000), "more than the limit of 178956970");
  expect(tiff_of_bands(5, 100, 100), "damaged or truncated TIFF");
  expect(with_tag("f64_1.tif", 257, 900'000),
         "damaged or truncated TIFF");  // rows that are missing
  expect(with_tag("u16_13_deflate.tif", 279, 3),
         "damaged or truncated TIFF");  // bytes of the strip
  auto planes = bytes_of("u16_13_planes_lzw.tif");
  const std::uint32_t counts = tag_of(planes, 279);  // bytes of each strip
  planes[counts] = 1, planes[counts + 1] = 0;
  expect(planes, "damaged or truncated TIFF");
  expect(with_tag("u8_5.tif", 273, 1'000'000), "damaged or truncated TIFF");  // where it lies
  expect(with_tag("f32_1_predictor.tif", 339, 6), "complex or unusual");
  for (const char* file : {"u16_13_deflate.tif", "u16_4_tiles.tif", "u16_13_planes_lzw.tif"}) {
    auto bytes = bytes_of(file);
    bytes.resize(bytes.size() * 2 / 3);
    expect(bytes, "TIFF");
  }
  const auto bytes = bytes_of("u16_3.png");
  Bands bands;
  EXPECT_NE(error_of(ExitCode::data,
                     [&] {
                       decode_bands(bytes, read_image_info(bytes), {0, 0, 2, 2}, 13, bands);
                     })
                .find("has 3 channels, where 13"),
            std::string::npos);
}

// As GDAL writes with SPARSE_OK: rasterio reads such tiles as zeros, or as its value for no data.
TEST(Bands, TilesThatAreLeftOutAreBlank) {
  const auto values_of = [](const std::vector<std::uint8_t>& file) {
    const ImageInfo info = read_image_info(file);
    Bands bands;
    decode_bands(file, info, whole(info.size), info.channels, bands);
    return bands;
  };
  for (const auto& [name, blank] : std::vector<std::pair<std::string, float>>{
           {"u16_4_tiles.tif", 0}, {"i16_1_tiles_nodata.tif", -29987}}) {
    auto bytes = bytes_of(name);  // 20 x 19 pixels in tiles of 16 x 16
    const Bands all = values_of(bytes);
    for (const std::uint16_t tag : {std::uint16_t{324}, std::uint16_t{325}}) {
      const std::uint32_t type = bytes[place_of_tag(bytes, tag) - 6], size = type == 3 ? 2 : 4;
      std::memset(&bytes[tag_of(bytes, tag) + size], 0, size);  // of the second tile
    }
    const Bands sparse = values_of(bytes);
    for (int y = 0; y < all.height; ++y)
      for (int x = 0; x < all.width; ++x)
        for (int c = 0; c < all.channels; ++c) {
          const auto i = static_cast<std::size_t>((y * all.width + x) * all.channels + c);
          EXPECT_EQ(sparse.values[i], y < 16 && x >= 16 ? blank : all.values[i])
              << name << " " << y << " " << x;
        }
  }
}

TEST(Bands, ResizeEqualsPyTorch) {
  Bands source = expected({{"width", 11},
                           {"height", 9},
                           {"channels", 3},
                           {"modulus", 60000},
                           {"scale", 0.125},
                           {"offset", -3000}});
  for (const auto& entry : golden_bands("resizes")) {
    const ImageSize size{entry["width"], entry["height"]};
    Bands result, plain;
    BandResizer().resize(source, size, whole(size), false, result);
    BandResizer(Simd::none).resize(source, size, whole(size), false, plain);
    EXPECT_EQ(result.values, plain.values);
    ASSERT_EQ(result.values.size(), entry["values"].size());
    for (std::size_t i = 0; i < result.values.size(); ++i)
      ASSERT_NEAR(result.values[i], entry["values"][i].get<float>(), 0.01) << i;  // fp32 of ±7500
  }
}

// Any number of channels beside others gives what each gives alone.
TEST(Bands, ResizeOfAnyNumberOfChannels) {
  const ImageSize from{13, 10}, to{9, 17};
  const CropBox window{1, 3, 6, 11};
  for (const int channels : {1, 2, 4, 7, 8, 9, 16, 17, 40}) {
    Bands source, all;
    reshape(source, from, channels);
    for (std::size_t i = 0; i < source.values.size(); ++i)
      source.values[i] = static_cast<float>(i * i % 1013);
    BandResizer resizer;
    resizer.resize(source, to, window, true, all);
    ASSERT_EQ(all.size(), (ImageSize{window.width, window.height}));
    for (int c = 0; c < channels; ++c) {
      Bands one, scaled, flipped;
      reshape(one, from, 1);
      for (std::size_t i = 0; i < one.values.size(); ++i)
        one.values[i] =
            source.values[i * static_cast<std::size_t>(channels) + static_cast<std::size_t>(c)];
      resizer.resize(one, to, whole(to), false, scaled);
      for (int y = 0; y < window.height; ++y)
        for (int x = 0; x < window.width; ++x)
          ASSERT_EQ(all.values[static_cast<std::size_t>((y * window.width + x) * channels + c)],
                    scaled.values[static_cast<std::size_t>((y + window.y) * to.width + window.x +
                                                           window.width - 1 - x)])
              << channels << " channels, " << c << " at " << x << ", " << y;
    }
  }
}

// What was never measured becomes 0 and nothing of it is spread.
TEST(Bands, NoData) {
  StoredValues stored;
  stored.nodata = -9999;
  const Normalisation normalisation{{10, 200}, {2, 50}, stored};
  Bands bands;
  reshape(bands, {8, 8}, 2);
  for (std::size_t i = 0; i < bands.values.size(); ++i) bands.values[i] = i % 2 == 0 ? 12.f : 250.f;
  bands.values[10] = -9999;
  bands.values[21] = std::numeric_limits<float>::quiet_NaN();
  bands.values[22] = std::numeric_limits<float>::infinity();
  fill_nodata(bands, normalisation);
  EXPECT_EQ(bands.values[10], 10);
  EXPECT_EQ(bands.values[21], 200);
  EXPECT_EQ(bands.values[22], 10);
  std::vector<float> out(bands.values.size());
  normalise(bands, normalisation, out.data());
  EXPECT_EQ(out[5], 0);        // [0, 5] of channel 0
  EXPECT_EQ(out[64 + 10], 0);  // [1, 2] of channel 1
  EXPECT_EQ(out[0], 1);
  EXPECT_EQ(out[64], 1);
  StoredValues other = stored;
  other.nodata.reset();
  bands.values[10] = -9999;
  fill_nodata(bands, {{10, 200}, {2, 50}, other});
  EXPECT_EQ(bands.values[10], -9999);  // a value like any other
}

TEST(Bands, PictureIsStretchedByItsInput) {
  std::vector<float> values;  // five channels of 10 x 10
  for (int c = 0; c < 5; ++c)
    for (int i = 0; i < 100; ++i) values.push_back(static_cast<float>(c * 1000 + i));
  const Image first = picture_of(values.data(), values.data(), 5, {10, 10}, {});
  EXPECT_EQ(first.channels, 3);
  EXPECT_EQ(first.pixels[0], 0);
  EXPECT_EQ(first.pixels[3 * 2], 0);          // the 2nd percentile
  EXPECT_EQ(first.pixels[3 * 97], 255);       // the 98th
  EXPECT_NEAR(first.pixels[3 * 50], 128, 3);  // halfway
  StoredValues stored;
  stored.picture = {5, 1, 2};
  std::vector<float> brighter = values;
  for (std::size_t i = 400; i < 500; ++i) brighter[i] += 48;  // of channel 5
  const Image shown = picture_of(brighter.data(), values.data(), 5, {10, 10}, stored);
  EXPECT_EQ(shown.pixels[3 * 50], 255);
  EXPECT_NEAR(shown.pixels[3 * 50 + 1], 128, 3);
  EXPECT_EQ(picture_of(values.data(), values.data(), 2, {10, 10}, {}).channels, 1);
  const std::vector<float> flat(100, 3);
  EXPECT_EQ(picture_of(flat.data(), flat.data(), 1, {10, 10}, {}).pixels,
            std::vector<std::uint8_t>(100, 0));
}

}  // namespace
}  // namespace sgmae
