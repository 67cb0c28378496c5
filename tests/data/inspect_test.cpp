// Oracle: counts and moments of images whose pixels are known.
#include "sgmae/data/inspect.h"

#include <gtest/gtest.h>

#include <cmath>

#include "folder.h"

namespace sgmae {
namespace {

TEST(InspectData, CountsSizesMomentsAndDuplicates) {
  Folder folder;
  folder.image("ant/1.png", 10, 4, 2);
  folder.image("ant/2.png", 30, 4, 2);
  folder.image("bee/3.png", 10, 4, 2);  // the same pixels as ant/1.png
  folder.image("bee/4.png", 30, 4, 2);
  folder.image("bee/5.png", 30, 4, 2);
  folder.image("bee/6.png", 10, 2, 4);
  folder.write("bee/bad.png", "no image");
  const auto source = open_source(folder.path());
  const DataStats one = inspect_data(*source, 1), stats = inspect_data(*source, 3);
  EXPECT_EQ(to_json(stats, *source), to_json(one, *source));  // whoever looked at what

  EXPECT_EQ(stats.images, 7);
  ASSERT_EQ(stats.unreadable.size(), 1u);
  EXPECT_NE(stats.unreadable[0].name.find("bad.png"), std::string::npos);
  EXPECT_EQ(stats.width.smallest, 2);
  EXPECT_EQ(stats.width.median, 4);
  EXPECT_EQ(stats.height.largest, 4);
  EXPECT_EQ(stats.formats, (std::map<std::string, std::int64_t>{{"png", 6}}));
  EXPECT_EQ(stats.channels, (std::map<int, std::int64_t>{{3, 6}}));
  EXPECT_EQ(stats.per_class, (Ids{2, 5}));
  EXPECT_EQ(stats.unlabelled, 0);
  // Red: 10 in three images, 30 in three, all of 8 pixels.
  EXPECT_DOUBLE_EQ(stats.mean[0], 20.0 / 255);
  EXPECT_NEAR(stats.std[0], 10.0 / 255, 1e-12);  // one subtraction of squares below 2^16
  // Blue: 9 times the row, of 2 rows in five images and of 4 in one.
  EXPECT_NEAR(stats.mean[2], 9 * (5 * 0.5 + 1.5) / 6 / 255, 1e-12);

  EXPECT_EQ(stats.duplicates, (std::vector<Ids>{{0, 2}, {1, 3, 4}}));
  EXPECT_EQ(stats.conflicting, 2);
  const auto json = to_json(stats, *source);
  EXPECT_EQ(json["duplicate_surplus"], 3);
  EXPECT_EQ(json["classes"]["bee"], 5);
  EXPECT_EQ(json["unreadable_count"], 1);
}

// Equality is of pixels, not of files; orientation of the shape counts.
TEST(InspectData, DuplicatesByContent) {
  Folder folder;
  folder.write("train-images-idx3-ubyte", idx({3, 2, 2}, {1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 4, 3}));
  const auto source = open_source(folder.path());
  const DataStats stats = inspect_data(*source, 2);
  EXPECT_EQ(stats.duplicates, (std::vector<Ids>{{0, 1}}));
  EXPECT_EQ(stats.conflicting, 0);
  EXPECT_EQ(stats.unlabelled, 3);
  EXPECT_EQ(stats.bytes, 12u);
  EXPECT_EQ(stats.formats.at("raw"), 3);
}

}  // namespace
}  // namespace sgmae
