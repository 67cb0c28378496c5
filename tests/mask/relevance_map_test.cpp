// Oracles: the sampling formula written out per patch; linear maps, which bilinear sampling must
// reproduce exactly; the file's own bytes cut short and changed.
#include "sgmae/mask/relevance_map.h"

#include <ATen/ops/arange.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "sgmae/base/error.h"
#include "sgmae/base/rng.h"
#include "sgmae/io/safetensors.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

class MapFile : public ::testing::Test {
 protected:
  static MapInfo info() {
    return {.images = 5,
            .rows = 2,
            .columns = 3,
            .model_hash = "0123456789abcdef",
            .epoch = 50,
            .tap = "encoder.10.attention_out",
            .data = "fedcba9876543210",
            .center = GuideCenter::position,
            .object = ObjectRule::inside};
  }
  static std::vector<float> row(std::int64_t image) {
    std::vector<float> values(6);
    for (int i = 0; i < 6; ++i) values[i] = 0.125f * static_cast<float>(i) - 0.25f * image;
    return values;
  }
  fs::path write(const at::Tensor& position_mean = {}) {
    const fs::path path = folder_ / "maps.safetensors";
    RelevanceMapWriter writer(path, info(), position_mean);
    for (const std::int64_t image : {3, 0, 4}) writer.put(image, row(image));  // any order
    writer.commit();
    return path;
  }
  static ExitCode refusal(const fs::path& path) {
    try {
      RelevanceMaps maps(path);
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(path.filename().string()), std::string::npos);
      return e.code();
    }
    return ExitCode::done;
  }

  const TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.root();
};

TEST_F(MapFile, ComesBackAsWritten) {
  const at::Tensor mean = at::arange(24, at::kFloat).view({6, 4});
  const RelevanceMaps maps(write(mean));
  EXPECT_EQ(maps.info().images, 5);
  EXPECT_EQ(maps.info().rows, 2);
  EXPECT_EQ(maps.info().columns, 3);
  EXPECT_EQ(maps.info().epoch, 50);
  EXPECT_EQ(maps.info().model_hash, "0123456789abcdef");
  EXPECT_EQ(maps.info().tap, "encoder.10.attention_out");
  EXPECT_EQ(maps.info().center, GuideCenter::position);
  EXPECT_EQ(maps.info().object, ObjectRule::inside);
  EXPECT_TRUE(maps.position_mean().equal(mean));
  for (const std::int64_t image : {0, 3, 4})
    EXPECT_EQ(maps.map(image), row(image));  // exact in fp16
  for (const std::int64_t image : {1, 2})
    for (const float value : maps.map(image)) EXPECT_TRUE(std::isnan(value));
}

TEST_F(MapFile, KeepsNaNRowsAndRoundsToFp16) {
  const fs::path path = folder_ / "maps.safetensors";
  MapInfo one = info();
  one.images = 2;
  {
    RelevanceMapWriter writer(path, one, {});
    writer.put(0, std::vector<float>(6, std::numeric_limits<float>::quiet_NaN()));
    writer.put(1, std::vector<float>(6, 0.9876543f));
    writer.commit();
  }
  const RelevanceMaps maps(path);
  EXPECT_FALSE(maps.position_mean().defined());
  for (const float value : maps.map(0)) EXPECT_TRUE(std::isnan(value));
  for (const float value : maps.map(1)) EXPECT_NEAR(value, 0.9876543f, 0x1p-12);  // half a step
}

TEST_F(MapFile, IsAnOrdinarySafetensorsFile) {
  const TensorFile file = read_safetensors(write(at::arange(24, at::kFloat).view({6, 4})));
  ASSERT_NE(file.find("relevance"), nullptr);
  EXPECT_EQ(file.find("relevance")->sizes(), at::IntArrayRef({5, 2, 3}));
  EXPECT_EQ(file.find("relevance")->scalar_type(), at::kHalf);
  ASSERT_NE(file.find("position_mean"), nullptr);
  EXPECT_EQ(file.metadata.at("epoch"), "50");
}

TEST_F(MapFile, LeavesNothingBehindWithoutCommit) {
  const fs::path path = folder_ / "maps.safetensors";
  { RelevanceMapWriter writer(path, info(), {}); }
  EXPECT_TRUE(fs::is_empty(folder_));
  const fs::path good = write();
  {
    RelevanceMapWriter writer(path, info(), {});
    writer.put(0, std::vector<float>(6, 9.0f));
  }
  EXPECT_EQ(RelevanceMaps(good).map(0), row(0));  // the file from before is untouched
}

TEST_F(MapFile, RefusesEveryTruncation) {
  const fs::path path = write(at::arange(24, at::kFloat).view({6, 4}));
  const std::vector<std::uint8_t> bytes = read_file(path);
  for (std::size_t length = 0; length < bytes.size(); length += 5) {
    const fs::path cut = folder_ / "cut.safetensors";
    write_file(cut, {reinterpret_cast<const char*>(bytes.data()), length});
    EXPECT_EQ(refusal(cut), ExitCode::checkpoint) << length;
  }
}

TEST_F(MapFile, RefusesEveryTurnedBitOfItsValues) {
  const std::string text = read_text(write(at::arange(24, at::kFloat).view({6, 4})));
  const fs::path damaged = folder_ / "damaged.safetensors";
  for (std::size_t i = text.size() - (24 * 4 + 5 * 6 * 2); i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 8)));
    write_file(damaged, changed);
    EXPECT_EQ(refusal(damaged), ExitCode::checkpoint) << i;
  }
}

TEST_F(MapFile, RefusesForeignAndDamagedFiles) {
  const fs::path path = write();
  std::string text = read_text(path);
  text.replace(text.find("crc32c"), 6, "unused");  // or that would notice first
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    const fs::path file = folder_ / "changed.safetensors";
    write_file(file, changed);
    return refusal(file);
  };
  EXPECT_EQ(with("position\"", "posltion\""), ExitCode::checkpoint);
  EXPECT_EQ(with("[5,2,3]", "[6,2,3]"), ExitCode::checkpoint);
  EXPECT_EQ(with("[5,2,3]", "[5,0,3]"), ExitCode::checkpoint);
  EXPECT_EQ(with("[5,2,3]", "[5,6,1"), ExitCode::checkpoint);
  EXPECT_EQ(with("\"50\"", "\"xx\""), ExitCode::checkpoint);
  EXPECT_EQ(with("maps 1", "maps 2"), ExitCode::checkpoint);
  EXPECT_EQ(with("\"F16\"", "\"F32\""), ExitCode::checkpoint);
  EXPECT_EQ(with("relevance\":", "relevence\":"), ExitCode::checkpoint);
  EXPECT_EQ(refusal(folder_ / "absent"), ExitCode::checkpoint);
}

TEST_F(MapFile, BelongsToOneRun) {
  const MapInfo have = info();
  EXPECT_NO_THROW(check_maps(have, have, "maps"));
  MapInfo any = have;
  any.model_hash.clear();
  any.tap.clear();
  any.epoch = -1;
  EXPECT_NO_THROW(check_maps(have, any, "maps"));
  MapInfo older = have;
  older.data.clear();
  EXPECT_NO_THROW(check_maps(older, have, "maps"));
  std::vector<MapInfo> others(9, have);
  others[0].images = 6;
  others[1].rows = 3;
  others[2].columns = 2;
  others[3].model_hash = "f";
  others[4].epoch = 51;
  others[5].tap = "encoder.9.key";
  others[6].center = GuideCenter::none;
  others[7].object = ObjectRule::eigenvector;
  others[8].data = "0";
  for (const MapInfo& want : others) {
    try {
      check_maps(have, want, "run/maps/a.safetensors");
      FAIL();
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ExitCode::checkpoint);
      EXPECT_NE(std::string(e.what()).find("delete it"), std::string::npos);
    }
  }
}

TEST_F(MapFile, ReportsAnUnwritableFolder) {
  try {
    RelevanceMapWriter writer(folder_ / "none" / "maps.safetensors", info(), {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::usage);
  }
}

// One patch of the formula in the header, from scratch.
double slow_sample(const std::vector<float>& map, int rows, int columns, const CropBox& crop,
                   const ImageSize& source, bool flipped, int r, int c) {
  if (flipped) c = columns - 1 - c;
  const auto along = [](int i, int n, int begin, int extent, int whole) {
    const double u = ((i + 0.5) / n * extent + begin) / whole * n - 0.5;
    return std::min(std::max(u, 0.0), n - 1.0);
  };
  const double x = along(c, columns, crop.x, crop.width, source.width);
  const double y = along(r, rows, crop.y, crop.height, source.height);
  double value = 0;
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < columns; ++j)  // a tent of width 1 around each map cell
      value += map[i * columns + j] * std::max(0.0, 1 - std::abs(x - j)) *
               std::max(0.0, 1 - std::abs(y - i));
  return value;
}

TEST(SampleMap, OfTheWholeImageIsTheMap) {
  Rng rng(0, 0, 0, Purpose::probe);
  std::vector<float> map(12);
  for (float& value : map) value = rng.uniform_float();
  const std::vector<float> same = sample_map(map, 3, 4, {0, 0, 321, 117}, {321, 117}, false);
  const std::vector<float> mirrored = sample_map(map, 3, 4, {0, 0, 321, 117}, {321, 117}, true);
  for (int r = 0; r < 3; ++r)
    for (int c = 0; c < 4; ++c) {
      EXPECT_NEAR(same[r * 4 + c], map[r * 4 + c], 1e-6);
      EXPECT_NEAR(mirrored[r * 4 + c], map[r * 4 + 3 - c], 1e-6);
    }
}

TEST(SampleMap, FollowsTheFormula) {
  Rng rng(1, 0, 0, Purpose::probe);
  for (int trial = 0; trial < 50; ++trial) {
    const int rows = 1 + static_cast<int>(rng.below(8)),
              columns = 1 + static_cast<int>(rng.below(8));
    std::vector<float> map(rows * columns);
    for (float& value : map) value = rng.uniform_float();
    const ImageSize source{20 + static_cast<int>(rng.below(300)),
                           20 + static_cast<int>(rng.below(300))};
    CropBox crop;
    crop.width = 1 + static_cast<int>(rng.below(source.width));
    crop.height = 1 + static_cast<int>(rng.below(source.height));
    crop.x = static_cast<int>(rng.below(source.width - crop.width + 1));
    crop.y = static_cast<int>(rng.below(source.height - crop.height + 1));
    const bool flipped = trial % 2 == 1;
    const std::vector<float> sampled = sample_map(map, rows, columns, crop, source, flipped);
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < columns; ++c)
        EXPECT_NEAR(sampled[r * columns + c],
                    slow_sample(map, rows, columns, crop, source, flipped, r, c), 1e-6);
  }
}

TEST(SampleMap, FollowsTheCrop) {
  // A map that rises to the right: a crop of the right half sees its upper half.
  std::vector<float> map(64);
  for (int i = 0; i < 64; ++i) map[i] = static_cast<float>(i % 8);
  const std::vector<float> right = sample_map(map, 8, 8, {50, 0, 50, 100}, {100, 100}, false);
  for (int c = 0; c < 8; ++c)
    EXPECT_NEAR(right[c], std::min(7.0, 4 + 0.5 * (c + 0.5) - 0.5), 1e-5) << c;
  const std::vector<float> flipped = sample_map(map, 8, 8, {50, 0, 50, 100}, {100, 100}, true);
  for (int c = 0; c < 8; ++c) EXPECT_EQ(flipped[c], right[7 - c]);
}

TEST(SampleMap, CarriesNaNAlong) {
  const std::vector<float> map(4, std::numeric_limits<float>::quiet_NaN());
  for (const float value : sample_map(map, 2, 2, {1, 1, 5, 5}, {10, 10}, false))
    EXPECT_TRUE(std::isnan(value));
}

}  // namespace
}  // namespace sgmae
