// Oracle: pixels counted by hand.
#include "sgmae/data/inspect_labels.h"

#include <gtest/gtest.h>

#include "tests/data/segmented.h"

namespace sgmae {
namespace {

TEST(InspectLabels, Counts) {
  const Folder folder;
  for (const char* name : {"a", "b", "c", "d", "e"}) folder.image(str("images/", name, ".png"));
  write_values(folder, "labels/a.png", {0, 1, 1, 255});  // 120 pixels
  write_values(folder, "labels/b.png", {1});
  write_values(folder, "labels/c.png", {255});
  write_values(folder, "labels/d.png", {0, 9, 9, 8});
  folder.write("labels/e.png", Folder::png(3));
  const auto data =
      open_segmented(folder.path(), "train", SegmentedFormat::automatic, {.classes = 3});
  for (const int threads : {1, 3}) {
    const LabelStats stats = inspect_labels(*data, threads);
    EXPECT_EQ(stats.images, 5);
    EXPECT_EQ(stats.pixels, 360);
    EXPECT_EQ(stats.unlabelled, 150);
    EXPECT_EQ(stats.labelled(), 210);
    EXPECT_EQ(stats.images_all_unlabelled, 1);
    ASSERT_EQ(stats.classes.size(), 3u);
    EXPECT_EQ(stats.classes[0].pixels, 30);
    EXPECT_EQ(stats.classes[0].images, 1);
    EXPECT_EQ(stats.classes[1].pixels, 180);
    EXPECT_EQ(stats.classes[1].images, 2);
    EXPECT_EQ(stats.classes_without_pixels(), 1);
    ASSERT_EQ(stats.unusable.size(), 2u);
    EXPECT_EQ(stats.unusable[0].file, folder.path("labels/d.png"));
    EXPECT_NE(stats.unusable[1].reason.find("colours (RGB)"), std::string::npos);
    EXPECT_EQ(stats.above, (std::map<int, std::int64_t>{{8, 30}, {9, 60}}));
    const auto json = to_json(stats);
    EXPECT_EQ(json["classes"][1]["pixels"], 180);
    EXPECT_EQ(json["values_above_classes"]["9"], 60);
    EXPECT_EQ(json["unusable_count"], 2);
  }
}

}  // namespace
}  // namespace sgmae
