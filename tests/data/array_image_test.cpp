// Oracle: arrays that numpy wrote, whose numbers follow a rule that the test follows too
// (tests/golden/bands.py).
#include "sgmae/data/array_image.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "sgmae/base/file.h"
#include "sgmae/io/npy_header.h"
#include "tests/support/errors.h"

namespace sgmae {
namespace {

std::string path_of(const std::string& file) {
  return std::string(SGMAE_TEST_DATA) + "/bands/" + file;
}

std::vector<std::uint8_t> bytes_of(const std::string& file) {
  return read_file(path_of(file), ExitCode::data, 1 << 20);
}

TEST(ArrayImage, EqualsNumpy) {
  const auto arrays = nlohmann::json::parse(read_text(path_of("golden.json")))["arrays"];
  ASSERT_GT(arrays.size(), 8u);
  for (const auto& entry : arrays) {
    SCOPED_TRACE(entry["file"].get<std::string>());
    std::vector<std::uint8_t> bytes = bytes_of(entry["file"]);
    const bool zip = entry["file"].get<std::string>().ends_with(".npz");
    EXPECT_EQ(is_npz(bytes), zip);
    if (zip) bytes = npy_of_npz(bytes);
    ASSERT_TRUE(is_npy(bytes));
    const ArrayInfo info =
        read_array_info(bytes, entry["axes"] == "hwc" ? ArrayAxes::hwc : ArrayAxes::automatic);
    const int width = entry["width"], channels = entry["channels"];
    ASSERT_EQ(info.size, (ImageSize{width, entry["height"]}));
    ASSERT_EQ(info.channels, channels);
    const CropBox box{2, 1, 4, 3};
    Bands bands;
    decode_array(bytes, info, box, bands);
    std::size_t at = 0;
    for (int y = box.y; y < box.y + box.height; ++y)
      for (int x = box.x; x < box.x + box.width; ++x)
        for (int c = 0; c < channels; ++c) {
          const std::int64_t i = (std::int64_t{y} * width + x) * channels + c;
          const double value = static_cast<double>((7919 * i + 13) % entry["modulus"].get<int>());
          ASSERT_EQ(bands.values[at++],
                    value * entry["scale"].get<double>() + entry["offset"].get<double>());
        }
  }
}

std::vector<std::uint8_t> array_of(const std::vector<std::int64_t>& shape) {
  const std::string header = npy_header(DType::u8, shape);
  std::vector<std::uint8_t> bytes(header.begin(), header.end());
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  bytes.resize(bytes.size() + static_cast<std::size_t>(count));
  return bytes;
}

TEST(ArrayImage, WhichAxisIsTheChannels) {
  const auto channels = [](const std::vector<std::int64_t>& shape,
                           ArrayAxes axes = ArrayAxes::automatic) {
    return read_array_info(array_of(shape), axes).channels;
  };
  EXPECT_EQ(channels({64, 64}), 1);
  EXPECT_EQ(channels({64, 48, 13}), 13);
  EXPECT_EQ(channels({13, 64, 48}), 13);
  EXPECT_EQ(channels({64, 64, 200}), 200);  // many, beside two equal ones
  EXPECT_EQ(channels({200, 64, 64}), 200);
  EXPECT_EQ(channels({8, 8, 8}), 8);
  EXPECT_EQ(channels({60, 64, 200}), 60);  // taken for channels: the shorter one
  EXPECT_EQ(channels({60, 64, 200}, ArrayAxes::hwc), 200);
  EXPECT_EQ(channels({64, 48, 13}, ArrayAxes::chw), 64);
}

TEST(ArrayImage, BadArraysAreRefused) {
  const auto refusal = [](const std::vector<std::uint8_t>& bytes) {
    return error_of(ExitCode::data, [&] {
      read_array_info(is_npz(bytes) ? npy_of_npz(bytes) : bytes, ArrayAxes::automatic);
    });
  };
  for (const auto& [file, why] : {std::pair{"bad_big_endian.npy", "'>u2'"},
                                  {"bad_complex.npy", "complex numbers"},
                                  {"bad_objects.npy", "'|O'"},
                                  {"bad_records.npy", "records"},
                                  {"bad_one_axis.npy", "1 axis"},
                                  {"bad_four_axes.npy", "4 axes"},
                                  {"bad_empty.npy", "empty"},
                                  {"bad_two.npz", "a.npy, b.npy"}})
    EXPECT_NE(refusal(bytes_of(file)).find(why), std::string::npos) << refusal(bytes_of(file));
  auto cut = bytes_of("u16_hwc.npy");
  cut.resize(cut.size() - 1);
  EXPECT_NE(refusal(cut).find("larger than the file"), std::string::npos) << refusal(cut);
  EXPECT_NE(refusal(array_of({2000, 1, 2000})).find("limit of 1024"), std::string::npos);
  auto zip = bytes_of("one.npz");
  zip.resize(zip.size() / 2);
  EXPECT_FALSE(refusal(zip).empty());
}

}  // namespace
}  // namespace sgmae
