// Oracles: lines small enough to work out by hand; data.yaml as Ultralytics, Roboflow and older
// YOLOv5 write it.
#include "sgmae/data/yolo_file.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"

namespace sgmae {
namespace {

using Names = std::vector<std::string>;

TEST(ParseYolo, BoxesConfidencesAndOutlines) {
  const auto objects =
      parse_yolo("3 0.25 0.5 0.5 1\n\n0 0.9 0.1 0.4 0.2 0.77\r\n  7.0 0 0 0.5 0 0.5 1", "a.txt");
  ASSERT_EQ(objects.size(), 3u);
  EXPECT_EQ(objects[0].category, 3);
  EXPECT_EQ(objects[0].line, 1);
  EXPECT_EQ(box_of(objects[0], {20, 10}), (PixelBox{0, 0, 10, 10}));
  EXPECT_TRUE(outline_of(objects[0], {20, 10}).empty());
  EXPECT_EQ(objects[1].line, 3);
  EXPECT_NEAR(box_of(objects[1], {20, 10}).right, 22, 1e-12);  // not clipped
  EXPECT_EQ(objects[2].category, 7);
  EXPECT_EQ(outline_of(objects[2], {20, 10}), (std::vector<double>{0, 0, 10, 0, 10, 10}));
  EXPECT_EQ(box_of(objects[2], {20, 10}), (PixelBox{0, 0, 10, 10}));
  EXPECT_TRUE(parse_yolo("", "a.txt").empty());
  EXPECT_TRUE(parse_yolo(" \r\n\n", "a.txt").empty());
}

TEST(ParseYolo, BadLinesAreNamed) {
  for (const char* line :
       {"0 0.5 dog", "0 0.5 0.5 0.2", "0 0.5 1.5 0.2 0.2", "a dog runs", "-1 0.5 0.5 0.2 0.2",
        "0.5 0.5 0.5 0.2 0.2", "1e9 0.5 0.5 0.2 0.2", "0 0.1 0.1 0.2 0.2 0.3 0.3 0.4",
        "0 0.1 0.1 0.2 0.2 9 0.3", "0 0.5 0.5 nan 0.2", "0 0.5 0.5 0.2 0.2x", "0 0.5 0.5 -0.1 0.2",
        "0 0.5 0.5 0.2 1e999", "0,0.5,0.5,0.2,0.2"}) {
    const std::string error = error_of(
        ExitCode::data, [&] { parse_yolo(str("0 0.5 0.5 0.2 0.2\n", line, "\n"), "a.txt"); });
    EXPECT_NE(error.find("a.txt:2"), std::string::npos) << line;
  }
}

// As Ultralytics has poses: boxes, behind which keypoints may follow.
TEST(ParseYolo, Keypoints) {
  const auto objects = parse_yolo(
      "2 0.5 0.5 0.2 0.4 0.1 0.1 2 0.9 0.9 0\n0 0.5 0.5 1 1\n"
      "0 0.5 0.5 1 1 0 0 0 0 0 0 0.8",
      "a.txt", 6);
  ASSERT_EQ(objects.size(), 3u);
  EXPECT_EQ(objects[0].numbers, (std::vector<double>{0.5, 0.5, 0.2, 0.4}));
  EXPECT_TRUE(objects[0].keypoints);
  EXPECT_FALSE(objects[1].keypoints);
  EXPECT_TRUE(objects[2].is_box());
  const auto error =
      error_of(ExitCode::data, [] { parse_yolo("0 0 0 0.5 0 0.5 1 0 1\n", "a.txt", 6); });
  EXPECT_NE(error.find("a.txt:1: not a YOLO object with keypoints"), std::string::npos) << error;

  EXPECT_EQ(parse_yolo_data("kpt_shape: [17, 3] # x, y, seen\n", "data.yaml").keypoint_numbers,
            51u);
  EXPECT_EQ(parse_yolo_data("kpt_shape:\n- 12\n- 2\n", "data.yaml").keypoint_numbers, 24u);
  EXPECT_EQ(parse_yolo_data("names: [a]\n", "data.yaml").keypoint_numbers, 0u);
  for (const char* shape : {"[17]", "17", "[17, x]", "[0, 3]"})
    EXPECT_NE(error_of(ExitCode::data,
                       [&] { parse_yolo_data(str("kpt_shape: ", shape, "\n"), "data.yaml"); })
                  .find("data.yaml: kpt_shape"),
              std::string::npos)
        << shape;
}

TEST(ParseDarknetData, ListsAndNames) {
  const YoloData data = parse_darknet_data(
      "classes= 2\r\ntrain  = data/train.txt\nvalid=data/test.txt\nnames =data/obj.names\n"
      "backup = \nrest\n");
  EXPECT_EQ(data.parts.at("train"), Names{"data/train.txt"});
  EXPECT_EQ(data.parts.at("val"), Names{"data/test.txt"});
  EXPECT_EQ(data.names_file, "data/obj.names");
  EXPECT_TRUE(parse_darknet_data("train =\n").parts.empty());
}

TEST(ParseYoloData, AsToolsWriteIt) {
  const YoloData ultralytics = parse_yolo_data(
      "# Ultralytics\npath: ../datasets/coco # root\ntrain: images/train2017 # 118k\n"
      "val: images/val2017\ntest:\n\n# Classes\nnames:\n  0: person\n  1: \"it's\"\n"
      "  2: 'traffic light' # red\n\ndownload: |\n  from x import y\n  z: [1\n",
      "data.yaml");
  EXPECT_EQ(ultralytics.path, "../datasets/coco");
  EXPECT_EQ(ultralytics.parts.at("train"), Names{"images/train2017"});
  EXPECT_FALSE(ultralytics.parts.contains("test"));
  EXPECT_EQ(ultralytics.class_names, (Names{"person", "it's", "traffic light"}));

  const YoloData roboflow = parse_yolo_data(
      "train: ../train/images\r\nval: ../valid/images\r\n\r\nnc: 3\r\n"
      "names: ['Platelets', \"RBC, red\", 'W''BC']\r\n\r\nroboflow:\r\n  workspace: a\r\n",
      "data.yaml");
  EXPECT_EQ(roboflow.parts.at("val"), Names{"../valid/images"});
  EXPECT_EQ(roboflow.class_names, (Names{"Platelets", "RBC, red", "W'BC"}));

  const YoloData yolov5 = parse_yolo_data(
      "train:\n  - a/images\n  - b/images\nnames: [ 'person', 'bicycle',\n         'car' ]  # "
      "end\n",
      "data.yaml");
  EXPECT_EQ(yolov5.parts.at("train"), (Names{"a/images", "b/images"}));
  EXPECT_EQ(yolov5.class_names, (Names{"person", "bicycle", "car"}));

  EXPECT_EQ(parse_yolo_data("names: {0: a, 1: 'b: c'}\n", "data.yaml").class_names,
            (Names{"a", "b: c"}));
  EXPECT_EQ(parse_yolo_data("names:\n- a\n- b#c\n", "data.yaml").class_names, (Names{"a", "b#c"}));
}

TEST(ParseYoloData, NamesThatAreNotNumberedFromZero) {
  for (const char* names : {"names: {1: a}\n", "names:\n  0: a\n  2: b\n"}) {
    const auto error = error_of(ExitCode::data, [&] { parse_yolo_data(names, "data.yaml"); });
    EXPECT_NE(error.find("data.yaml: the classes under 'names'"), std::string::npos) << error;
  }
}

TEST(ParseYoloData, BrokenTextHasNothing) {
  for (const char* text : {"", "names: [a, b", "names", ": x\n", "- a\n", "names: [\n", "names: {",
                           "'names: a\n", "\xff\xfe"})
    EXPECT_TRUE(parse_yolo_data(text, "data.yaml").class_names.empty()) << text;
}

TEST(ParseClassNames, OneALine) {
  EXPECT_EQ(parse_class_names("RBC\r\nWBC\n\n fire hydrant \n", "classes.txt"),
            (Names{"RBC", "WBC", "fire hydrant"}));
  EXPECT_EQ(
      parse_class_names("# COCO128\npath: .\nnames:\n  0: person\n  1: bicycle\n", "classes.txt"),
      (Names{"person", "bicycle"}));
}

}  // namespace
}  // namespace sgmae
