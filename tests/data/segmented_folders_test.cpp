// Oracles: what docs/data.md says of plain folders, on data sets of a few images.
#include <gtest/gtest.h>

#include "sgmae/base/log.h"
#include "tests/data/segmented.h"

namespace sgmae {
namespace {

std::unique_ptr<SegmentedImages> open(const Folder& folder, const LabelCoding& coding = {}) {
  return open_segmented(folder.path(), "train", SegmentedFormat::automatic, coding);
}

TEST(SegmentedFolders, WhereTheyMayLie) {
  struct Case {
    const char *images, *labels;
  };
  for (const Case& one :
       {Case{"images/train/", "labels/train/"}, Case{"images/training/", "annotations/training/"},
        Case{"Images/train2017/", "semantic/train2017/"}, Case{"train/images/", "train/masks/"},
        Case{"images/train/a/b/", "labels/train/a/b/"}, Case{"images/", "labels/"}}) {
    const Folder folder;
    folder.image(str(one.images, "x.png"));
    write_values(folder, str(one.labels, "x.png"), {0, 1});
    EXPECT_STREQ(open(folder)->format(), "image and label folders") << one.images;
    EXPECT_EQ(names_in(open(folder)->images(), folder), (Names{str(one.images, "x.png")}));
    EXPECT_FALSE(holds_segmented(folder.path(), "val")) << one.images;
  }
}

// A folder without PNGs (YOLO's texts) is none of labels.
TEST(SegmentedFolders, LabelsArePngs) {
  const Folder folder;
  folder.image("images/train/x.png");
  folder.write("labels/train/x.txt", "0 0.5 0.5 1 1\n");
  EXPECT_FALSE(holds_segmented(folder.path(), "train"));
  write_values(folder, "semantic/train/x.png", {0, 1});
  EXPECT_EQ(open(folder)->label_file(0), folder.path("semantic/train/x.png"));
}

TEST(SegmentedFolders, Coding) {
  const Folder folder;
  folder.image("images/x.png");
  write_values(folder, "labels/x.png", {0, 1, 2, 5, 255});
  const int no = unlabelled_pixel;
  EXPECT_EQ(open(folder)->classes(), 6);
  EXPECT_EQ(open(folder)->class_names()[5], "class 5");
  EXPECT_EQ(first_labels(*open(folder), 0, 5), (std::vector<int>{0, 1, 2, 5, no}));
  const auto reduced = open(folder, {.reduce_zero_label = true});
  EXPECT_EQ(reduced->classes(), 5);
  EXPECT_EQ(reduced->class_names()[0], "class 1");
  EXPECT_EQ(first_labels(*reduced, 0, 5), (std::vector<int>{no, 0, 1, 4, no}));
  const auto ignored = open(folder, {.classes = 9, .ignore = 5});
  EXPECT_EQ(ignored->classes(), 9);
  error_of(ExitCode::data, [&] { labels_of(*ignored, 0); });  // 255 is none of them
  const auto all = open(folder, {.ignore = -1, .reduce_zero_label = true});
  EXPECT_EQ(all->classes(), 255);
  EXPECT_EQ(first_labels(*all, 0, 5), (std::vector<int>{no, 0, 1, 4, 254}));
  const auto many = error_of(ExitCode::data, [&] { open(folder, {.ignore = -1}); });
  EXPECT_NE(many.find("256 classes"), std::string::npos) << many;
}

// A mask of foreground, and labels that are all the same.
TEST(SegmentedFolders, OneClassIsNone) {
  for (const std::vector<int>& values : {std::vector<int>{0, 255}, {0}, {255}}) {
    const Folder folder;
    folder.image("images/x.png");
    write_values(folder, "labels/x.png", values);
    const auto error = error_of(ExitCode::data, [&] { open(folder); });
    EXPECT_NE(error.find("have no two classes: their largest value is "), std::string::npos)
        << error;
    EXPECT_NE(error.find(folder.path("labels")), std::string::npos);
  }
}

TEST(SegmentedFolders, Names) {
  const Folder folder;
  folder.image("images/x.png");
  write_values(folder, "labels/x.png", {0, 2});
  folder.write("classes.txt", "other\nsky\ntree\nroad\n");
  EXPECT_EQ(open(folder)->class_names(), (Names{"other", "sky", "tree", "road"}));
  EXPECT_EQ(open(folder, {.reduce_zero_label = true})->class_names(),
            (Names{"sky", "tree", "road"}));
  EXPECT_EQ(open(folder, {.classes = 5})->class_names(),
            (Names{"other", "sky", "tree", "road", "class 4"}));
}

}  // namespace
}  // namespace sgmae
