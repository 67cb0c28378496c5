// Oracle: the benchmark's own words: 0 is the background, 255 void, and lists name the images.
#include <gtest/gtest.h>

#include "sgmae/base/log.h"
#include "tests/data/segmented.h"

namespace sgmae {
namespace {

TEST(SegmentedVoc, ListsNameTheImages) {
  set_log_quiet(true);
  const Folder folder;
  const std::string root = "VOCdevkit/VOC2012/";
  for (const char* name : {"a", "b", "c"}) {
    folder.image(str(root, "JPEGImages/", name, ".jpg"));
    write_values(folder, str(root, "SegmentationClass/", name, ".png"), {0, 20, 255, 15});
  }
  folder.write(root + "ImageSets/Segmentation/train.txt", "c\na\r\ngone\n\n");
  folder.write(root + "ImageSets/Segmentation/val.txt", "b\n");
  for (const char* path : {"", "VOCdevkit", "VOCdevkit/VOC2012"}) {
    const auto data = open_segmented(folder.path(path));
    EXPECT_STREQ(data->format(), "Pascal VOC");
    EXPECT_EQ(data->classes(), 21);
    EXPECT_EQ(data->class_names()[15], "person");
    EXPECT_EQ(names_in(data->images(), folder),
              (Names{root + "JPEGImages/c.jpg", root + "JPEGImages/a.jpg"}));
    EXPECT_EQ(count(*data, "listed images that are not there"), 1);
    EXPECT_EQ(first_labels(*data, 0, 4), (std::vector<int>{0, 20, unlabelled_pixel, 15}));
    EXPECT_EQ(open_segmented(folder.path(path), "val")->images().size(), 1);
  }
  std::filesystem::remove(folder.path(root + "SegmentationClass/b.png"));
  const auto error = error_of(ExitCode::data, [&] { open_segmented(folder.path(), "val"); });
  EXPECT_NE(error.find("lists no image that is there with its labels"), std::string::npos);
  std::filesystem::remove(folder.path(root + "ImageSets/Segmentation/val.txt"));
  const auto list = error_of(ExitCode::data, [&] { open_segmented(folder.path(), "val"); });
  EXPECT_NE(list.find("ImageSets/Segmentation/val.txt"), std::string::npos) << list;
}

}  // namespace
}  // namespace sgmae
