// Oracles: boxes and masks small enough to work out by hand.
#include "sgmae/eval/object_files.h"

#include <gtest/gtest.h>

#include "tests/data/folder.h"

namespace sgmae {
namespace {

const ImageSize kSize{20, 10};

std::string voc(const std::string& objects, const std::string& size = "") {
  return "<?xml version=\"1.0\"?>\n<annotation>\n  <filename>a.jpg</filename>\n" + size + objects +
         "</annotation>\n";
}

std::string voc_box(const std::string& x0, const std::string& y0, const std::string& x1,
                    const std::string& y1) {
  return "<object><name>dog</name><part><bndbox><xmin>1</xmin></bndbox></part>\n<bndbox><xmin>" +
         x0 + "</xmin><ymin>" + y0 + "</ymin><xmax>" + x1 + "</xmax><ymax>" + y1 +
         "</ymax></bndbox></object>\n";
}

TEST(YoloFile, HoldsBoxesConfidencesAndOutlines) {
  const Folder folder;
  folder.write("a.txt", "3 0.25 0.5 0.5 1\n\n0 0.9 0.1 0.4 0.2 0.77\r\n");
  const MarkedObjects boxes = read_yolo_file(folder.path("a.txt"), kSize, whole(kSize));
  ASSERT_EQ(boxes.boxes.size(), 2u);
  EXPECT_TRUE(boxes.mask.pixels.empty());
  EXPECT_DOUBLE_EQ(boxes.boxes[0].right, 0.5);
  EXPECT_DOUBLE_EQ(boxes.boxes[1].left, 0.7);
  EXPECT_DOUBLE_EQ(boxes.boxes[1].right, 1);  // clipped at the image
  folder.write("b.txt", "0 0 0 0.5 0 0.5 1 0 1\n1 0.9 0.5 0.2 1\n");
  const MarkedObjects outlines = read_yolo_file(folder.path("b.txt"), kSize, whole(kSize));
  EXPECT_EQ(object_cover(outlines, 1, 5), (std::vector<float>{1, 1, 0.5f, 0, 1}));
  EXPECT_DOUBLE_EQ(outlines.boxes.at(0).right, 0.5);
  folder.write("c.txt", "\n");
  EXPECT_TRUE(read_yolo_file(folder.path("c.txt"), kSize, whole(kSize)).boxes.empty());
}

TEST(YoloFile, FollowsTheCrop) {
  const Folder folder;
  folder.write("a.txt", "0 0.5 0.5 0.5 0.5\n");  // pixels 5 ... 15 by 2.5 ... 7.5
  const MarkedObjects seen = read_yolo_file(folder.path("a.txt"), kSize, {10, 0, 10, 10});
  EXPECT_DOUBLE_EQ(seen.boxes.at(0).left, 0);
  EXPECT_DOUBLE_EQ(seen.boxes.at(0).right, 0.5);
  EXPECT_DOUBLE_EQ(seen.boxes.at(0).top, 0.25);
  EXPECT_TRUE(read_yolo_file(folder.path("a.txt"), kSize, {16, 0, 4, 10}).boxes.empty());
}

TEST(YoloFile, BadLinesAreNamed) {
  const Folder folder;
  for (const char* line : {"0 0.5 dog", "0 0.5 0.5 0.2", "0 0.5 0.5 0.2 0", "0 0.5 1.5 0.2 0.2",
                           "a dog runs", "0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "0 0.1 0.1 0.2 0.2 9 0.3",
                           "0 0.5 0.5 nan 0.2", "0 0.5 0.5 0.2 0.2x"}) {
    folder.write("a.txt", str("0 0.5 0.5 0.2 0.2\n", line, "\n"));
    const std::string error = error_of(
        ExitCode::data, [&] { read_yolo_file(folder.path("a.txt"), kSize, whole(kSize)); });
    EXPECT_NE(error.find("a.txt:2"), std::string::npos) << line;
  }
}

TEST(VocFile, CountsPixelsFromOneAndIncludesTheLast) {
  const Folder folder;
  folder.write("a.xml", voc(voc_box("1", "1", "20", "5") + voc_box("11.5", "9", "30", "10.0"),
                            "<size><width>20</width><height>10</height></size>"));
  const MarkedObjects seen = read_voc_file(folder.path("a.xml"), kSize, whole(kSize));
  ASSERT_EQ(seen.boxes.size(), 2u);
  EXPECT_DOUBLE_EQ(seen.boxes[0].left, 0);
  EXPECT_DOUBLE_EQ(seen.boxes[0].right, 1);
  EXPECT_DOUBLE_EQ(seen.boxes[0].bottom, 0.5);
  EXPECT_DOUBLE_EQ(seen.boxes[1].left, 10.5 / 20);
  EXPECT_DOUBLE_EQ(seen.boxes[1].right, 1);
  EXPECT_DOUBLE_EQ(seen.boxes[1].top, 0.8);
  folder.write("b.xml", voc("", "<size><width>0</width><height>0</height></size>"));
  EXPECT_TRUE(read_voc_file(folder.path("b.xml"), kSize, whole(kSize)).boxes.empty());
}

TEST(VocFile, ErrorsNameTheLine) {
  const Folder folder;
  const auto error = [&](const std::string& text) {
    folder.write("a.xml", text);
    return error_of(ExitCode::data,
                    [&] { read_voc_file(folder.path("a.xml"), kSize, whole(kSize)); });
  };
  const auto says = [&](const std::string& text, const char* words) {
    EXPECT_NE(error(text).find(words), std::string::npos) << error(text);
  };
  says(voc(voc_box("1", "x", "5", "5")), "a.xml:5: <bndbox> has no number <ymin>");
  says(voc(voc_box("1", "1", "5", "")), "<ymax>");
  says(voc(voc_box("9", "1", "5", "5")), "ends before it begins");
  says(voc("<object><name>dog</name></object>"), "a.xml:4: an <object> has no <bndbox>");
  says(voc("", "<size><width>10</width><height>20</height></size>"), "10x20");
  says(voc("", "<size><width>10</width><height>20</height></size>"), "20x10");
  says(voc("<object>"), "damaged XML");
  says("<html></html>", "<annotation>");
  says("", "damaged XML");
}

TEST(MaskFile, WhatIsNotBlackIsObject) {
  const Folder folder;
  Image mask{20, 10, 3, std::vector<std::uint8_t>(600, 0)};
  for (int y = 0; y < 5; ++y)
    for (int x = 5; x < 10; ++x) mask.pixels[(y * 20 + x) * 3 + 2] = 1;  // nearly black
  const auto bytes = encode_png(view(mask));
  folder.write("a.png", std::string(bytes.begin(), bytes.end()));
  const MarkedObjects objects = read_mask_file(folder.path("a.png"), kSize, whole(kSize));
  EXPECT_DOUBLE_EQ(objects.boxes.at(0).left, 0.25);
  EXPECT_DOUBLE_EQ(objects.boxes.at(0).bottom, 0.5);
  EXPECT_EQ(object_cover(objects, 2, 2), (std::vector<float>{0.5f, 0, 0, 0}));
  EXPECT_EQ(object_cover(objects, 2, 4), (std::vector<float>{0, 1, 0, 0, 0, 0, 0, 0}));
  EXPECT_TRUE(read_mask_file(folder.path("a.png"), kSize, {10, 0, 10, 10}).boxes.empty());
}

TEST(MaskFile, RefusesWhatIsNoMaskOfThisImage) {
  const Folder folder;
  folder.write("b.png", "no image");
  folder.image("c.png", 1, 8, 8);
  const auto error = [&](const char* name) {
    return error_of(ExitCode::data,
                    [&] { read_mask_file(folder.path(name), kSize, whole(kSize)); });
  };
  EXPECT_NE(error("b.png").find("b.png"), std::string::npos);
  EXPECT_NE(error("c.png").find("8x8"), std::string::npos);
}

}  // namespace
}  // namespace sgmae
