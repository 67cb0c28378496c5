// Oracle: data sets made for the test, in which every place says something else of an image.
#include "sgmae/eval/objects.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sgmae/base/log.h"
#include "tests/data/folder.h"

namespace sgmae {
namespace {

const ImageSize kSize{12, 10};  // of Folder::image

// A mask of kSize whose columns from `first` on, up to `end`, are object.
std::string mask(int first, int end) {
  Image image{12, 10, 1, std::vector<std::uint8_t>(120, 0)};
  for (int y = 0; y < 10; ++y)
    for (int x = first; x < end; ++x) image.pixels[static_cast<std::size_t>(y * 12 + x)] = 255;
  const auto bytes = encode_png(view(image));
  return {bytes.begin(), bytes.end()};
}

std::string voc(int xmin, int xmax) {
  return str("<annotation><object><bndbox><xmin>", xmin, "</xmin><ymin>1</ymin><xmax>", xmax,
             "</xmax><ymax>10</ymax></bndbox></object></annotation>");
}

// The left and right side of the first object in 12ths of the image; empty without any.
std::vector<int> sides(const ObjectMarks& marks, std::int64_t index = 0,
                       const ImageSize& size = kSize) {
  const auto objects = marks.of(index, size, whole(size));
  if (!objects) return {};
  const GridBox& box = objects->boxes.at(0);
  return {static_cast<int>(std::lround(box.left * 12)),
          static_cast<int>(std::lround(box.right * 12))};
}

std::vector<int> sides(const Folder& folder, const std::string& data,
                       const std::string& where = "") {
  const auto source = open_source(folder.path(data));
  return sides(ObjectMarks(*source, where));
}

using Sides = std::vector<int>;

TEST(ObjectMarks, TakeTheFirstKindThatLiesBeside) {
  const Folder folder;
  folder.image("d/images/train/a.png");
  const auto found = [&] { return sides(folder, "d/images/train"); };
  EXPECT_EQ(found(), Sides{});
  folder.write("d/images/train/a.txt", "0 0.5 0.5 0.5 1\n");
  EXPECT_EQ(found(), (Sides{3, 9}));
  folder.write("d/labels/train/a.txt", "0 0.25 0.5 0.5 1\n");
  EXPECT_EQ(found(), (Sides{0, 6}));
  folder.write("d/Annotations/train/a.xml", voc(2, 4));
  EXPECT_EQ(found(), (Sides{1, 4}));
  folder.write("d/annotations/instances_train.json",
               R"({"images": [{"id": 5, "file_name": "a.png", "width": 12, "height": 10}],
                   "categories": [{"id": 1}],
                   "annotations": [{"image_id": 5, "category_id": 1, "bbox": [5, 0, 3, 10]}]})");
  EXPECT_EQ(found(), (Sides{5, 8}));
  // The one of COCO's panoptic documents counts where its PNG files are.
  folder.write("d/annotations/panoptic_train.json",
               R"({"images": [{"id": 5, "file_name": "a.png", "width": 12, "height": 10}],
                   "categories": [{"id": 1, "isthing": 1}],
                   "annotations": [{"image_id": 5, "file_name": "a.png",
                                    "segments_info": [{"id": 16777215, "category_id": 1}]}]})");
  EXPECT_EQ(found(), (Sides{5, 8}));
  folder.write("d/annotations/panoptic_train/a.png", mask(2, 7));
  EXPECT_EQ(found(), (Sides{2, 7}));
  folder.write("d/images/train/a_mask.png", mask(1, 12));
  EXPECT_EQ(found(), (Sides{1, 12}));
  folder.write("d/masks/train/a.png", mask(0, 1));
  EXPECT_EQ(found(), (Sides{0, 1}));
}

TEST(ObjectMarks, AMarkThatShowsNothingCounts) {
  const Folder folder;
  folder.image("images/a.png");
  folder.write("labels/a.txt", "0 0.5 0.5 0.5 1\n");
  folder.write("masks/a.png", mask(0, 0));
  EXPECT_EQ(sides(folder, "images"), Sides{});
  const auto source = open_source(folder.path("images"));
  folder.write("masks/a.png", mask(0, 5));
  const ObjectMarks marks(*source, "");
  EXPECT_TRUE(marks.of(0, kSize, {4, 0, 4, 4}).has_value());
  EXPECT_FALSE(marks.of(0, kSize, {5, 0, 4, 4}).has_value());
}

TEST(ObjectMarks, FindVocBesideItsImages) {
  const Folder folder;
  folder.image("VOC2007/JPEGImages/a.png");
  folder.write("VOC2007/Annotations/a.xml", voc(1, 3));
  EXPECT_EQ(sides(folder, "VOC2007/JPEGImages"), (Sides{0, 3}));
}

TEST(ObjectMarks, InAFolderGoByAsMuchOfTheNameAsThereIs) {
  const Folder folder;
  folder.image("data/x/a.png", 1);
  folder.image("data/y/b.png", 2);
  folder.image("data/y/c.png", 3);
  folder.write("marks/x/a.png", mask(1, 2));
  folder.write("marks/a.png", mask(5, 6));  // less of the name
  folder.write("marks/b.xml", voc(4, 5));
  folder.write("marks/data/y/c.txt", "0 0.5 0.5 0.5 1\n");
  folder.write("marks/c.txt", "0 0.25 0.5 0.5 1\n");
  const auto source = open_source(folder.path("data"));
  const ObjectMarks marks(*source, folder.path("marks"));
  EXPECT_EQ(sides(marks, 0), (Sides{1, 2}));
  EXPECT_EQ(sides(marks, 1), (Sides{3, 5}));
  EXPECT_EQ(sides(marks, 2), (Sides{3, 9}));
}

TEST(ObjectMarks, InAFolderByANameThatImagesShareCountForNone) {
  const Folder folder;
  folder.image("data/x/a.png", 1);
  folder.image("data/y/a.png", 2);
  folder.write("marks/a.png", mask(1, 2));
  folder.write("marks/y/a.png", mask(3, 4));
  const auto source = open_source(folder.path("data"));
  const ObjectMarks marks(*source, folder.path("marks"));
  {
    const LogFile log(folder.path("log.txt"));
    EXPECT_EQ(sides(marks, 0), Sides{});
    EXPECT_EQ(sides(marks, 0), Sides{});
  }
  const std::string log = read_text(folder.path("log.txt"));
  EXPECT_NE(log.find("a.png may be of several images"), std::string::npos) << log;
  EXPECT_EQ(log.find("may be"), log.rfind("may be"));
  EXPECT_EQ(sides(marks, 1), (Sides{3, 4}));
}

TEST(ObjectMarks, OfAnArchiveGoByName) {
  const Folder folder;
  folder.write("set.tar", tar_file("x/a.png", Folder::png(1)) + tar_end());
  EXPECT_EQ(sides(folder, "set.tar"), Sides{});
  folder.write("marks/x/a.png", mask(1, 2));
  EXPECT_EQ(sides(folder, "set.tar", folder.path("marks")), (Sides{1, 2}));
  folder.write("set.json", R"({"images": [{"id": 5, "file_name": "a.png"}],
                               "categories": [{"id": 1}],
                   "annotations": [{"image_id": 5, "category_id": 1, "bbox": [5, 0, 3, 10]}]})");
  EXPECT_EQ(sides(folder, "set.tar", folder.path("set.json")), (Sides{5, 8}));
}

// Upright, also where the file lies on its side.
TEST(ObjectMarks, AreOpacityOfOneHalfAndMore) {
  const Folder folder;
  const auto copy = [&](const char* file) {
    folder.write(str("data/", file), read_text(str(SGMAE_TEST_DATA, "/image/", file)));
  };
  copy("rgba.png");
  copy("rgba_turned.png");
  const auto source = open_source(folder.path("data"));
  const ObjectMarks automatic(*source, ""), alpha(*source, "alpha");
  for (std::int64_t index = 0; index < 2; ++index) {
    OpenedImage opened;
    source->open(index, opened);
    const auto expected = decode_alpha(opened.bytes, opened.info);
    ASSERT_TRUE(expected.has_value());
    const auto objects = automatic.of(index, opened.size, whole(opened.size));
    ASSERT_TRUE(objects.has_value());
    ASSERT_EQ(objects->mask.pixels.size(), expected->pixels.size());
    for (std::size_t i = 0; i < expected->pixels.size(); ++i)
      EXPECT_EQ(objects->mask.pixels[i], expected->pixels[i] >= 128);
    EXPECT_EQ(alpha.of(index, opened.size, whole(opened.size))->mask.pixels, objects->mask.pixels);
  }
}

// A file of 41 x 30 pixels that is shown turned.
TEST(ObjectMarks, AreOfTheImageAsItIsShown) {
  const Folder folder;
  folder.write("images/a.jpg", read_text(str(SGMAE_TEST_DATA, "/image/exif6.jpg")));
  const auto source = open_source(folder.path("images"));
  OpenedImage opened;
  source->open(0, opened);
  const ObjectMarks marks(*source, "");
  folder.image("masks/a.png", 1, 30, 41);
  EXPECT_TRUE(marks.of(0, opened.size, whole(opened.size)).has_value());
  folder.image("masks/a.png", 1, 41, 30);
  EXPECT_NE(error_of(ExitCode::data, [&] { marks.of(0, opened.size, whole(opened.size)); })
                .find("the mask is 41x30 pixels but its image 30x41"),
            std::string::npos);
}

TEST(ObjectMarks, OfPixelsNeedBothSides) {
  const Folder folder;
  folder.write("grey/a.png", mask(3, 5));
  folder.write("grey/b.png", mask(0, 12));
  folder.image("grey/c.png", 9);              // in colour
  EXPECT_EQ(sides(folder, "grey"), Sides{});  // a photograph is not its own mask
  const auto source = open_source(folder.path("grey"));
  const ObjectMarks marks(*source, "foreground");
  EXPECT_EQ(sides(marks, 0), (Sides{3, 5}));
  EXPECT_EQ(sides(marks, 1), Sides{});
  EXPECT_EQ(sides(marks, 2), Sides{});
  EXPECT_EQ(sides(folder, "grey", "alpha"), Sides{});
}

TEST(ObjectMarks, OfIdxImagesAreWhatIsAboveZero) {
  const Folder folder;
  std::string pixels(2 * 12 * 10, '\0');
  pixels[5] = '\1';
  pixels[120 + 12 + 2] = '\xff';
  folder.write("train-images-idx3-ubyte",
               std::string("\0\0\10\3\0\0\0\2\0\0\0\12\0\0\0\14", 16) + pixels);
  const auto source = open_source(folder.path());
  const ObjectMarks marks(*source, "");
  EXPECT_EQ(sides(marks, 0), (Sides{5, 6}));
  EXPECT_EQ(sides(marks, 1), (Sides{2, 3}));
  EXPECT_FALSE(marks.of(1, kSize, {3, 0, 4, 4}).has_value());
}

TEST(ObjectMarks, ErrorsTeach) {
  const Folder folder;
  folder.image("images/a.png");
  folder.write("notes.txt", "");
  const auto source = open_source(folder.path("images"));
  for (const std::string& where : {std::string("none"), folder.path("notes.txt")}) {
    const std::string error = error_of(ExitCode::usage, [&] { ObjectMarks(*source, where); });
    EXPECT_NE(error.find(where), std::string::npos);
    EXPECT_NE(error.find("foreground"), std::string::npos);
  }
  folder.write("masks/a.png", "no image");
  EXPECT_NE(error_of(ExitCode::data, [&] { sides(ObjectMarks(*source, "")); }).find("masks/a.png"),
            std::string::npos);
}

}  // namespace
}  // namespace sgmae
