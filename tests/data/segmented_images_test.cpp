// Oracles: what docs/data.md says of layouts, parts and classes, on data sets of a few images.
#include "sgmae/data/segmented_images.h"

#include <gtest/gtest.h>

#include "sgmae/base/log.h"
#include "tests/data/segmented.h"

namespace sgmae {
namespace {

std::string refusal(const SegmentedImages& data, std::int64_t image = 0) {
  return error_of(ExitCode::data, [&] { labels_of(data, image); });
}

TEST(SegmentedImages, Usage) {
  const Folder folder;
  folder.image("images/train/a.png");
  write_values(folder, "labels/train/a.png", {0, 1, 255, 2});
  EXPECT_TRUE(holds_segmented(folder.path(), "train"));
  EXPECT_FALSE(holds_segmented(folder.path(), "val"));
  EXPECT_FALSE(holds_segmented(folder.path("gone"), "train"));
  SegmentedData options;
  options.data_path = folder.path();
  options.check();
  const auto data = options.open_training_part();
  EXPECT_EQ(data->images().size(), 1);
  EXPECT_EQ(data->images().class_names().size(), 0u);
  EXPECT_EQ(data->classes(), 3);
  EXPECT_EQ(first_labels(*data, 0, 4), (std::vector<int>{0, 1, unlabelled_pixel, 2}));
  EXPECT_EQ(data->label_file(0), folder.path("labels/train/a.png"));
  EXPECT_EQ(data->class_of_value()[2], 2);
  EXPECT_EQ(data->class_of_value()[3], -1);
}

TEST(SegmentedImages, WrongUse) {
  const Folder folder;
  folder.image("a.png");
  error_of(ExitCode::usage, [] { open_segmented(""); });
  error_of(ExitCode::usage, [&] { open_segmented(folder.path(), "dev"); });
  const auto nothing = error_of(ExitCode::data, [&] { open_segmented(folder.path()); });
  EXPECT_NE(nothing.find("no images with label maps for 'train'"), std::string::npos) << nothing;
  const auto gone = error_of(ExitCode::data, [&] { open_segmented(folder.path("gone")); });
  EXPECT_NE(gone.find("there is no folder"), std::string::npos) << gone;
  for (const SegmentedFormat format :
       {SegmentedFormat::ade20k, SegmentedFormat::cityscapes, SegmentedFormat::voc,
        SegmentedFormat::coco_stuff, SegmentedFormat::folders}) {
    const auto error =
        error_of(ExitCode::data, [&] { open_segmented(folder.path(), "train", format); });
    EXPECT_NE(error.find("there is no part 'train' of"), std::string::npos) << error;
  }
  SegmentedData options;
  error_of(ExitCode::usage, [&] { options.check(); });
  options.data_path = folder.path();
  options.check();
  for (const LabelCoding& coding : {LabelCoding{.classes = 1}, LabelCoding{.classes = 256},
                                    LabelCoding{.ignore = 256}, LabelCoding{.ignore = -2}}) {
    options.coding = coding;
    error_of(ExitCode::usage, [&] { options.check(); });
  }
  options.coding = {};
  options.num_workers = -1;
  error_of(ExitCode::usage, [&] { options.check(); });
}

// A layout that says what its values mean takes no other word for it, but may be read as folders.
TEST(SegmentedImages, KnownLayoutsKeepTheirCoding) {
  const Folder folder;
  folder.image("leftImg8bit/train/x/a_leftImg8bit.png");
  write_values(folder, "gtFine/train/x/a_gtFine_labelIds.png", {7});
  const auto error = error_of(ExitCode::usage, [&] {
    open_segmented(folder.path(), "train", SegmentedFormat::automatic, {.classes = 5});
  });
  EXPECT_NE(error.find("laid out as Cityscapes"), std::string::npos) << error;
  EXPECT_EQ(open_segmented(folder.path(), "train", SegmentedFormat::automatic, {.classes = 19})
                ->classes(),
            19);
}

TEST(SegmentedImages, WhatDoesNotFitIsLeftOut) {
  set_log_quiet(true);
  const Folder folder;
  for (const char* name : {"a", "b", "c", "d"}) folder.image(str("images/", name, ".png"));
  for (const char* name : {"a", "d"}) write_values(folder, str("labels/", name, ".png"), {0, 1});
  write_labels(folder, "labels/b.png", 10, 12, [](int, int) { return 0; });
  write_values(folder, "labels/e.png", {0, 1});
  folder.write("labels/readme.txt", "x");
  const auto data = open_segmented(folder.path());
  EXPECT_EQ(names_in(data->images(), folder), (Names{"images/a.png", "images/d.png"}));
  EXPECT_EQ(count(*data, "labels of another size than their image"), 1);
  EXPECT_EQ(example(*data, "labels of another size than their image"),
            folder.path("images/b.png") +
                " is 12x10, its labels are 10x12, as if its EXIF orientation did not count");
  EXPECT_EQ(count(*data, "images without labels"), 1);
  EXPECT_EQ(count(*data, "labels without an image"), 1);
  EXPECT_EQ(example(*data, "labels without an image"), folder.path("labels/e.png"));
  std::filesystem::remove(folder.path("labels/a.png"));
  std::filesystem::remove(folder.path("labels/d.png"));
  const auto error = error_of(ExitCode::data, [&] {
    open_segmented(folder.path(), "train", SegmentedFormat::automatic, {.classes = 2});
  });
  EXPECT_NE(error.find("no image whose labels can be used"), std::string::npos) << error;
  std::filesystem::remove(folder.path("labels/b.png"));
  const auto none = error_of(ExitCode::data, [&] { open_segmented(folder.path()); });
  EXPECT_NE(none.find("has a PNG of its name in"), std::string::npos) << none;
}

TEST(SegmentedImages, WrongLabelsAreNamed) {
  set_log_quiet(true);
  const Folder folder;
  for (const char* name : {"a", "b", "c", "d"}) folder.image(str("images/", name, ".png"));
  write_values(folder, "labels/a.png", {0, 1, 7});
  folder.write("labels/b.png", Folder::png(3));  // RGB
  write_values(folder, "labels/c.png", {0, 1});
  folder.write("labels/d.png", "a text file");
  const auto data =
      open_segmented(folder.path(), "train", SegmentedFormat::automatic, {.classes = 3});
  ASSERT_EQ(data->images().size(), 4);
  EXPECT_EQ(refusal(*data, 0),
            folder.path("labels/a.png") +
                " has pixels of value 7, but the 3 classes have the values 0 to 2; give --classes, "
                "or --ignore 7 if that value means nothing");
  EXPECT_NE(refusal(*data, 1).find(folder.path("labels/b.png") + ": the labels are colours (RGB)"),
            std::string::npos);
  EXPECT_EQ(first_labels(*data, 2, 2), (std::vector<int>{0, 1}));
  EXPECT_NE(refusal(*data, 3).find(folder.path("labels/d.png")), std::string::npos);
  // Another size and another file than when the data set was opened.
  write_labels(folder, "labels/c.png", 3, 2, [](int, int) { return 0; });
  EXPECT_NE(refusal(*data, 2).find("c.png is 3x2, but its image is 12x10"), std::string::npos);
  std::filesystem::remove(folder.path("labels/c.png"));
  EXPECT_NE(refusal(*data, 2).find("c.png"), std::string::npos);
}

TEST(SegmentedImages, TestPartHasTheClassesOfTheTrainingPart) {
  const Folder folder;
  for (const char* part : {"train", "val"}) folder.image(str("images/", part, "/a.png"));
  write_values(folder, "masks/train/a.png", {0, 1, 2, 3});
  write_values(folder, "masks/val/a.png", {0, 1, 5});
  SegmentedData options;
  options.data_path = folder.path();
  const auto train = options.open_training_part();
  EXPECT_EQ(train->classes(), 6);  // of all parts
  const auto test = options.open_test_part(train->class_names());
  EXPECT_EQ(test->class_names(), train->class_names());
  EXPECT_EQ(first_labels(*test, 0, 3), (std::vector<int>{0, 1, 5}));
  EXPECT_EQ(options.open_test_part({"a", "b", "c", "d", "e", "f"})->class_names()[5], "f");
  folder.write("classes.txt", "a\nb\nc\nd\ne\nf\n");
  EXPECT_EQ(options.open_test_part({"a", "b", "c", "d", "e", "f"})->classes(), 6);
  const auto other = error_of(ExitCode::data, [&] {
    options.open_test_part({"a", "b", "x", "d", "e", "f"});
  });
  EXPECT_NE(other.find("class 2 of the evaluation images is 'c', of the training images 'x'"),
            std::string::npos)
      << other;
  // A data set of its own.
  const Folder second;
  second.image("images/test/b.png");
  write_values(second, "masks/test/b.png", {0, 4});
  options.test_path = second.path();
  options.test_split = "test";
  EXPECT_EQ(first_labels(*options.open_test_part(train->class_names()), 0, 2),
            (std::vector<int>{0, 4}));
  const Folder city;
  city.image("leftImg8bit/val/x/a_leftImg8bit.png");
  write_values(city, "gtFine/val/x/a_gtFine_labelIds.png", {7});
  options.test_path = city.path();
  options.test_split = "val";
  error_of(ExitCode::usage, [&] { options.open_test_part({"a", "b"}); });
}

TEST(SegmentedImages, NothingToLearn) {
  const Folder folder;
  folder.image("images/a.png");
  folder.image("images/b.png");
  SegmentedData options;
  options.data_path = folder.path();
  options.coding.classes = 4;
  const auto refused = [&] {
    return error_of(ExitCode::data, [&] { options.open_training_part(); });
  };
  for (const char* name : {"a", "b"}) write_values(folder, str("labels/", name, ".png"), {255});
  EXPECT_NE(refused().find("in all 2 label maps"), std::string::npos) << refused();
  for (const char* name : {"a", "b"}) write_values(folder, str("labels/", name, ".png"), {3});
  EXPECT_NE(refused().find("are of one class, e.g. in " + folder.path("labels/a.png")),
            std::string::npos)
      << refused();
  write_values(folder, "labels/b.png", {255, 1});
  EXPECT_EQ(options.open_training_part()->classes(), 4);
}

}  // namespace
}  // namespace sgmae
