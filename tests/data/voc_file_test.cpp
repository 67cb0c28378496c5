// Oracles: files as LabelImg, CVAT and Roboflow write them, and coordinates worked out by hand.
#include "sgmae/data/voc_file.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"

namespace sgmae {
namespace {

TEST(ParseVoc, CountsPixelsFromOneAndIncludesTheLast) {
  const VocFile file = parse_voc(
      "<?xml version=\"1.0\"?>\n<annotation>\n<filename>a b.jpg</filename>\n"
      "<size>\n<width>640</width>\n<height>480</height><depth>3</depth></size>\n"
      "<object><name> WBC </name><difficult>1</difficult>\n"
      "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>640</xmax><ymax>480</ymax></bndbox></object>\n"
      "<object><name>dog &amp; cat</name><part><name>head</name><bndbox/></part>\n"
      "<bndbox><xmax> 9.5 </xmax><xmin>10</xmin><ymin>-3</ymin><ymax>4</ymax></bndbox></object>\n"
      "</annotation>\n",
      "a.xml");
  EXPECT_EQ(file.filename, "a b.jpg");
  EXPECT_EQ(file.size, (ImageSize{640, 480}));
  EXPECT_EQ(file.size_line, 4);
  ASSERT_EQ(file.objects.size(), 2u);
  EXPECT_EQ(file.objects[0].name, "WBC");
  EXPECT_EQ(file.objects[0].box, (PixelBox{0, 1, 640, 480}));
  EXPECT_TRUE(file.objects[0].difficult);
  EXPECT_EQ(file.objects[0].line, 8);
  EXPECT_EQ(file.objects[1].name, "dog & cat");
  EXPECT_EQ(file.objects[1].box, (PixelBox{9, -4, 9.5, 4}));  // as it stands there
  EXPECT_FALSE(file.objects[1].difficult);
  EXPECT_EQ(file.objects[1].line, 10);
}

TEST(ParseVoc, WhatMayBeAbsent) {
  EXPECT_TRUE(parse_voc("<annotation/>", "a.xml").objects.empty());
  const VocFile file = parse_voc(
      "<annotation><size><width>0</width><height>0</height></size><object><bndbox><xmin>1</xmin>"
      "<ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></object></annotation>",
      "a.xml");
  EXPECT_EQ(file.size, ImageSize{});
  EXPECT_EQ(file.objects.at(0).name, "");
}

TEST(ParseVoc, ErrorsNameTheLine) {
  const auto says = [](const std::string& inside, const char* words) {
    const auto error = error_of(
        ExitCode::data, [&] { parse_voc("<annotation>\n" + inside + "</annotation>", "a.xml"); });
    EXPECT_NE(error.find(words), std::string::npos) << error;
  };
  const auto box = [](const std::string& xmin) {
    return "<object>\n<bndbox><xmin>" + xmin +
           "</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></object>";
  };
  for (const char* xmin : {"", "x", "1e7", "nan", "inf", "1 2", "0x1"})
    says(box(xmin), "a.xml:3: <bndbox> has no number <xmin>");
  says("<object><name>a</name></object>", "a.xml:2: an <object> has no <bndbox>");
  says("<size><width>1</width></size>", "a.xml:2: <size> has no number <height>");
  says("<size><width>-1</width><height>2</height></size>", "a.xml:2: <size> is no size");
  says("<object>", "damaged XML");
  for (const char* text : {"", "text", "<html></html>", "{\"a\": 1}", "\xff\xfe"})
    EXPECT_NE(error_of(ExitCode::data, [&] { parse_voc(text, "a.xml"); }).find("a.xml"),
              std::string::npos);
}

}  // namespace
}  // namespace sgmae
