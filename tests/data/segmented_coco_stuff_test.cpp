// Oracle: the data set's own words: values are ids less 1, 255 is unlabelled.
#include <gtest/gtest.h>

#include "tests/data/segmented.h"

namespace sgmae {
namespace {

TEST(SegmentedCocoStuff, BothFolders) {
  for (const char* name : {"annotations", "stuffthingmaps"}) {
    const Folder folder;
    folder.image("images/train2017/1.jpg");
    write_values(folder, str(name, "/train2017/1.png"), {0, 181, 255});
    const auto data = open_segmented(folder.path());
    EXPECT_STREQ(data->format(), "COCO-Stuff");
    EXPECT_EQ(data->classes(), 182);
    EXPECT_EQ(data->class_names()[181], "class 181");
    EXPECT_EQ(first_labels(*data, 0, 3), (std::vector<int>{0, 181, unlabelled_pixel}));
    folder.write("labels.txt", "0: unlabeled\n1: person\n182: wood\n");
    EXPECT_EQ(open_segmented(folder.path())->class_names()[0], "person");
    EXPECT_EQ(open_segmented(folder.path())->class_names()[181], "wood");
    EXPECT_EQ(open_segmented(folder.path(), "train", SegmentedFormat::automatic, {.classes = 182})
                  ->classes(),
              182);
  }
}

}  // namespace
}  // namespace sgmae
