// Oracle: the benchmark's own words: 0 is other, 1 to 150 are the classes.
#include <gtest/gtest.h>

#include "tests/data/segmented.h"

namespace sgmae {
namespace {

void write_ade(const Folder& folder, const std::string& below) {
  folder.image(below + "images/training/ADE_train_00000001.jpg");
  folder.image(below + "images/validation/ADE_val_00000001.jpg");
  write_values(folder, below + "annotations/training/ADE_train_00000001.png", {0, 1, 2, 150});
  write_values(folder, below + "annotations/validation/ADE_val_00000001.png", {151});
}

TEST(SegmentedAde20k, ClassesAndParts) {
  const Folder folder;
  write_ade(folder, "ADEChallengeData2016/");
  for (const std::string& path : {folder.path(), folder.path("ADEChallengeData2016")}) {
    const auto data = open_segmented(path);
    EXPECT_STREQ(data->format(), "ADE20K");
    EXPECT_EQ(data->classes(), 150);
    EXPECT_EQ(data->class_names()[0], "wall");
    EXPECT_EQ(data->class_names()[12], "person");
    EXPECT_EQ(data->class_names()[149], "flag");
    EXPECT_EQ(first_labels(*data, 0, 4), (std::vector<int>{unlabelled_pixel, 0, 1, 149}));
    const auto val = open_segmented(path, "val");
    const auto error = error_of(ExitCode::data, [&] { labels_of(*val, 0); });
    EXPECT_NE(error.find("pixels of value 151, but the 150 classes have the values 1 to 150"),
              std::string::npos)
        << error;
  }
}

TEST(SegmentedAde20k, NamesFromItsTable) {
  const Folder folder;
  write_ade(folder, "");
  std::string table = "Idx\tRatio\tTrain\tVal\tName\n";
  for (int i = 1; i <= 150; ++i)
    table += str(i, "\t0.1\t10\t1\tthing", i, i % 2 == 0 ? ";synonym\n" : ", other\r\n");
  folder.write("objectInfo150.txt", table);
  const auto data = open_segmented(folder.path());
  EXPECT_STREQ(data->format(), "ADE20K");
  EXPECT_EQ(data->class_names()[0], "thing1");
  EXPECT_EQ(data->class_names()[149], "thing150");
  folder.write("objectInfo150.txt", "another file\n");
  EXPECT_EQ(open_segmented(folder.path())->class_names()[0], "wall");
}

// Folders of the same names are not ADE20K for that.
TEST(SegmentedAde20k, OthersHaveSuchFoldersToo) {
  const Folder folder;
  folder.image("images/training/a.png");
  write_values(folder, "annotations/training/a.png", {0, 3});
  EXPECT_STREQ(open_segmented(folder.path())->format(), "image and label folders");
  EXPECT_EQ(open_segmented(folder.path())->classes(), 4);
}

}  // namespace
}  // namespace sgmae
