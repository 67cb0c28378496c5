// Oracles: small data sets in each layout, their objects worked out by hand.
#include <gtest/gtest.h>

#include "sgmae/base/log.h"
#include "sgmae/data/annotated_images.h"
#include "tests/data/annotated.h"

namespace sgmae {
namespace {

struct Box {
  const char* name;
  int xmin, ymin, xmax, ymax;
  const char* more = "";
};

std::string xml(const std::vector<Box>& boxes, int width = 12, int height = 10,
                const char* filename = "") {
  std::string text = str("<annotation><filename>", filename, "</filename><size><width>", width,
                         "</width><height>", height, "</height></size>\n");
  for (const Box& b : boxes)
    text += str("<object><name>", b.name, "</name>", b.more, "<bndbox><xmin>", b.xmin,
                "</xmin><ymin>", b.ymin, "</ymin><xmax>", b.xmax, "</xmax><ymax>", b.ymax,
                "</ymax></bndbox></object>\n");
  return text + "</annotation>\n";
}

TEST(AnnotatedVoc, ListsOfImageSets) {
  const Folder folder;
  for (const char* name : {"a", "b", "c", "d"})
    folder.image(str("JPEGImages/", name, ".png"), name[0]);
  folder.write("Annotations/a.xml", xml({{"dog", 1, 1, 6, 5}, {"cat", 3, 3, 12, 10}}));
  folder.write("Annotations/b.xml", xml({{"ant", 1, 1, 2, 2}}));
  folder.write("Annotations/c.xml", xml({}));
  folder.write("ImageSets/Main/train.txt", "c 1\na -1\r\nd\n\ne\n");
  folder.write("ImageSets/Main/val.txt", "b\n");
  const auto data = open_annotated(folder.path());
  EXPECT_STREQ(data->format(), "Pascal VOC");
  EXPECT_EQ(names_in(data->images(), folder),
            (Names{"JPEGImages/c.png", "JPEGImages/a.png", "JPEGImages/d.png"}));
  // Of all parts, sorted.
  EXPECT_EQ(data->class_names(), (Names{"ant", "cat", "dog"}));
  EXPECT_EQ(described(*data, 0), "");
  EXPECT_EQ(described(*data, 1), "dog 0 0 6 5; cat 2 2 12 10");
  EXPECT_EQ(described(*data, 2), "");
  EXPECT_FALSE(data->has_masks());
  EXPECT_EQ(data->objects(1)[0].area, 30);
  EXPECT_EQ(data->size(1), (ImageSize{12, 10}));
  EXPECT_EQ(data->image_id(1), 2);
  EXPECT_EQ(data->category_id(2), 2);
  EXPECT_EQ(count(*data, "images that are not there"), 1);
  EXPECT_EQ(count(*data, "images without an .xml, which count as without objects"), 2);
  const auto val = open_annotated(folder.path(), "val");
  EXPECT_EQ(val->class_names(), data->class_names());
  EXPECT_EQ(described(*val, 0), "ant 0 0 2 2");
}

// As CVAT and others write them.
TEST(AnnotatedVoc, NamesWithBlanksAndSubFolders) {
  const Folder folder;
  for (const char* name : {"my image 1", "my image 2", "b", "s1/a", "s2/a", "test/t"}) {
    folder.image(str("JPEGImages/", name, ".png"));
    folder.write(str("Annotations/", name, ".xml"), xml({{"x", 1, 1, 2, 2}}));
  }
  const Names expected{"JPEGImages/my image 1.png", "JPEGImages/my image 2.png", "JPEGImages/b.png",
                       "JPEGImages/s2/a.png"};
  for (const char* list : {"my image 1\nmy image 2\nb\ns2/a\n",
                           "\"my image 1\"\r\n\"my image 2\" -1\r\n\"b\"\r\ns2/a 0\r\n",
                           "my image 1 1\nmy image 2  1\nb -1\ns2/a\t1\n"}) {
    folder.write("ImageSets/Main/train.txt", list);
    const auto data = open_annotated(folder.path());
    EXPECT_EQ(names_in(data->images(), folder), expected) << list;
    EXPECT_EQ(described(*data, 3), "x 0 0 2 2");
    EXPECT_TRUE(data->left_out().empty());
  }
  // Without lists, all but a part for evaluation.
  std::filesystem::remove_all(folder.path("ImageSets"));
  folder.image("JPEGImages/deep/c.png");
  folder.write("Annotations/c.xml", xml({{"y", 1, 1, 2, 2}}, 12, 10, "c.png"));
  folder.write("Annotations/s1/lost.xml", xml({}));
  const auto data = open_annotated(folder.path());
  EXPECT_EQ(data->images().size(), 6);
  EXPECT_EQ(data->class_names(), (Names{"x", "y"}));
  EXPECT_EQ(example(*data, "annotations whose image is not there"), "s1/lost.xml");
  EXPECT_EQ(count(*data, "images without an .xml, which count as without objects"), 0);
}

TEST(AnnotatedVoc, WithoutLists) {
  const Folder folder;
  folder.image("images/a.png");
  folder.image("images/photo.jpg");
  folder.write("annotations/a.xml", xml({{"x", 1, 1, 2, 2}}));
  folder.write("annotations/other.xml", xml({{"y", 1, 1, 2, 2}}, 12, 10, "photo.jpg"));
  folder.write("annotations/lost.xml", xml({}));
  const auto data = open_annotated(folder.path());
  EXPECT_EQ(names_in(data->images(), folder), (Names{"images/a.png", "images/photo.jpg"}));
  EXPECT_EQ(described(*data, 1), "y 0 0 2 2");  // by <filename>
  EXPECT_EQ(count(*data, "annotations whose image is not there"), 1);
  const auto error = error_of(ExitCode::data, [&] { open_annotated(folder.path(), "val"); });
  EXPECT_NE(error.find("no annotations for 'val'"), std::string::npos) << error;
}

TEST(AnnotatedVoc, BesideTheImages) {
  const Folder folder;
  folder.image("train/a.png");
  folder.write("train/a.xml", xml({{"x", 1, 1, 2, 2}}));
  folder.image("valid/annotated/nothing.png");
  folder.image("valid/images/b.png");
  folder.write("valid/annotations/b.xml", xml({{"y", 1, 1, 2, 2}}));
  EXPECT_EQ(described(*open_annotated(folder.path()), 0), "x 0 0 2 2");
  EXPECT_EQ(described(*open_annotated(folder.path(), "val"), 0), "y 0 0 2 2");
  EXPECT_EQ(described(*open_annotated(folder.path("train")), 0), "x 0 0 2 2");
}

TEST(AnnotatedVoc, BoxesThatDoNotFit) {
  const Folder folder;
  folder.image("a.png");
  folder.write("a.xml", xml({{"over", -5, 1, 40, 3},
                             {"round", 0, 0, 12, 10},
                             {"none", 5, 5, 4, 6},
                             {"beyond", 20, 20, 30, 30},
                             {"hard", 2, 2, 4, 4, "<difficult>1</difficult>"}}));
  const auto data = open_annotated(folder.path());
  EXPECT_EQ(described(*data, 0), "over 0 0 12 3; round 0 0 12 10; hard 1 1 4 4 crowd");
  EXPECT_EQ(count(*data, "boxes that overstep their image, clipped to it"), 2);
  EXPECT_EQ(count(*data, "boxes without an inside"), 2);
  EXPECT_EQ(count(*data, "objects marked difficult, which count neither way"), 1);
  EXPECT_EQ(example(*data, "boxes without an inside"), "a.xml:4");
}

TEST(AnnotatedVoc, ImagesOfAnotherSizeAreLeftOut) {
  const Folder folder;
  folder.image("a.png");
  folder.image("b.png");
  folder.image("c.png");
  folder.write("a.xml", xml({{"x", 1, 1, 2, 2}}, 10, 12));
  folder.write("b.xml", xml({{"x", 1, 1, 2, 2}}, 0, 0));
  folder.write("c.xml", xml({{"x", 1, 1, 2, 2}}));
  const auto data = open_annotated(folder.path());
  EXPECT_EQ(names_in(data->images(), folder), (Names{"b.png", "c.png"}));
  const char* reason = "images of another size than their annotations say";
  EXPECT_EQ(count(*data, reason), 1);
  EXPECT_EQ(example(*data, reason), folder.path("a.png") +
                                        " is 12x10 but annotated as 10x12, as if its EXIF "
                                        "orientation did not count");
  for (const char* file : {"b.xml", "c.xml"}) folder.write(file, xml({}, 640, 480));
  const auto error = error_of(ExitCode::data, [&] { open_annotated(folder.path()); });
  EXPECT_NE(error.find("no image that can be used: of 3 listed"), std::string::npos) << error;
  EXPECT_NE(error.find("is 12x10 but annotated as 640x480"), std::string::npos) << error;
}

TEST(AnnotatedVoc, DamageIsNamed) {
  const Folder folder;
  folder.image("a.png");
  folder.write("Annotations/a.xml", "<annotation><object></annotation>");
  EXPECT_NE(error_of(ExitCode::data, [&] { open_annotated(folder.path()); }).find("a.xml:1"),
            std::string::npos);
  std::filesystem::remove_all(folder.path("Annotations"));
  folder.write("a.xml", xml({{"", 1, 1, 2, 2}}));
  EXPECT_NE(error_of(ExitCode::data, [&] { open_annotated(folder.path()); }).find("no <name>"),
            std::string::npos);
}

}  // namespace
}  // namespace sgmae
