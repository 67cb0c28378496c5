// Oracles: small documents in each layout, as COCO, LVIS, Roboflow, Label Studio and CVAT have
// them; their objects worked out by hand.
#include <gtest/gtest.h>

#include "sgmae/data/annotated_images.h"
#include "tests/data/annotated.h"

namespace sgmae {
namespace {

const std::string kCategories =
    R"("categories": [{"id": 9, "name": "cat"}, {"id": 0, "name": "traffic light"}])";

std::string image(int id, const std::string& name, int width = 12, int height = 10) {
  return str(R"({"id": )", id, R"(, "file_name": ")", name, R"(", "width": )", width,
             R"(, "height": )", height, "}");
}
std::string object(int id, int image, int category, const std::string& more = "") {
  return str(R"({"id": )", id, R"(, "image_id": )", image, R"(, "category_id": )", category,
             R"(, "bbox": [1, 2, 4, 3], "area": 7)", more, "}");
}
std::string document(const std::string& images, const std::string& annotations,
                     const std::string& categories = kCategories) {
  return "{\"images\": [" + images + "], \"annotations\": [" + annotations + "], " + categories +
         "}";
}

TEST(AnnotatedCoco, CocosLayout) {
  const Folder folder;
  for (const char* name : {"train2017/a", "train2017/b", "val2017/c"})
    folder.image(str(name, ".png"));
  folder.write("annotations/instances_train2017.json",
               document(image(70, "b.png") + "," + image(5, "a.png"),
                        object(1, 5, 9, R"(, "segmentation": [[1, 2, 5, 2, 5, 5]], "iscrowd": 0)") +
                            "," + object(2, 5, 0, R"(, "iscrowd": 1)")));
  folder.write("annotations/instances_val2017.json", document(image(1, "c.png"), object(1, 1, 0)));
  folder.write("annotations/captions_train2017.json", "{}");
  folder.write("annotations/person_keypoints_val2017.json", "{}");
  for (const std::string& path :
       {folder.path(), folder.path("annotations/instances_train2017.json")}) {
    const auto data = open_annotated(path);
    EXPECT_STREQ(data->format(), "COCO");
    EXPECT_EQ(names_in(data->images(), folder), (Names{"train2017/b.png", "train2017/a.png"}));
    EXPECT_EQ(data->class_names(), (Names{"traffic light", "cat"}));  // by their ids
    EXPECT_EQ(described(*data, 0), "");
    EXPECT_EQ(described(*data, 1), "cat 1 2 5 5 polygons; traffic light 1 2 5 5 crowd");
    EXPECT_EQ(data->objects(1)[0].area, 7);
    EXPECT_TRUE(data->has_masks());
    EXPECT_EQ(data->image_id(0), 70);
    EXPECT_EQ(data->category_id(1), 9);
    const auto val = open_annotated(path, "val");
    EXPECT_EQ(names_in(val->images(), folder), Names{"val2017/c.png"});
    EXPECT_FALSE(val->has_masks());
  }
}

TEST(AnnotatedCoco, RoboflowsLayout) {
  const Folder folder;
  folder.image("train/a.png");
  folder.image("valid/b.png");
  const std::string categories =
      R"("categories": [{"id": 0, "name": "cells", "supercategory": "none"},
          {"id": 1, "name": "RBC", "supercategory": "cells"},
          {"id": 2, "name": "WBC", "supercategory": "cells"}])";
  folder.write("train/_annotations.coco.json",
               document(image(0, "a.png"), object(0, 0, 2), categories));
  folder.write("valid/_annotations.coco.json",
               document(image(0, "b.png"), object(0, 0, 1), categories));
  auto data = open_annotated(folder.path());
  EXPECT_EQ(data->class_names(), (Names{"RBC", "WBC"}));
  EXPECT_EQ(described(*data, 0), "WBC 1 2 5 5");
  EXPECT_EQ(data->category_id(1), 2);
  EXPECT_EQ(count(*data, "categories that only stand above all others"), 1);
  for (const std::string& path : {folder.path(), folder.path("train/_annotations.coco.json")})
    EXPECT_EQ(described(*open_annotated(path, "val"), 0), "RBC 1 2 5 5");
  // Once something refers to it, it is a class.
  folder.write("train/_annotations.coco.json",
               document(image(0, "a.png"), object(0, 0, 0), categories));
  EXPECT_EQ(open_annotated(folder.path())->class_names(), (Names{"cells", "RBC", "WBC"}));
}

TEST(AnnotatedCoco, WhereImagesMayBe) {
  const Folder folder;
  const std::string text = document(image(1, "sub/a.png"), object(1, 1, 9));
  const auto finds = [&](const std::string& json, const std::string& at,
                         const std::string& data_root = "") {
    const Folder data;
    data.write(json, text);
    data.image(at);
    const auto opened =
        open_annotated(data.path(json), "train", data_root.empty() ? "" : data.path(data_root));
    EXPECT_EQ(names_in(opened->images(), data), Names{at});
  };
  finds("x.json", "sub/a.png");
  finds("x.json", "images/sub/a.png");
  finds("x.json", "a.png");  // by its name alone
  finds("x.json", "images/a.png");
  finds("annotations/x_val.json", "val/sub/a.png");
  finds("annotations/x_val.json", "images/val/a.png");
  finds("annotations/x.json", "images/sub/a.png");
  finds("annotations/train2017.json", "train2017/sub/a.png");
  finds("x.json", "elsewhere/sub/a.png", "elsewhere");
  folder.write("x.json", text);
  const auto error = error_of(ExitCode::data, [&] { open_annotated(folder.path("x.json")); });
  EXPECT_NE(error.find("lists images such as sub/a.png, which are in none of " + folder.path()),
            std::string::npos)
      << error;
  EXPECT_NE(error.find("--data_root"), std::string::npos);
}

TEST(AnnotatedCoco, ToolsExports) {
  const Folder folder;  // Label Studio: beside images/, paths with backslashes
  folder.image("images/a.png");
  folder.write("result.json", document(image(0, R"(images\\a.png)"),
                                       object(0, 0, 9, R"(, "segmentation": [], "ignore": 0)")));
  EXPECT_EQ(described(*open_annotated(folder.path()), 0), "cat 1 2 5 5");
  const Folder cvat;
  cvat.image("images/a.png");
  cvat.write(
      "annotations/instances_default.json",
      document(image(1, "a.png"),
               object(1, 1, 9, R"(, "segmentation": {"counts": [20, 100], "size": [10, 12]})")));
  EXPECT_EQ(described(*open_annotated(cvat.path()), 0), "cat 1 2 5 5 runs");
  const Folder lvis;
  lvis.image("train2017/a.png");
  lvis.write(
      "annotations/lvis_v1_train.json",
      document(R"({"id": 1, "coco_url": "http://x/train2017/a.png", "width": 12, "height": 10})",
               object(1, 1, 9)));
  EXPECT_EQ(described(*open_annotated(lvis.path()), 0), "cat 1 2 5 5");
}

TEST(AnnotatedCoco, ImagesThatDoNotFit) {
  const Folder folder;
  folder.image("a.png");
  folder.image("b.png");
  folder.write("x.json", document(image(1, "gone.png") + "," + image(2, "a.png", 640, 480) + "," +
                                      image(3, "b.png", 0, 0),
                                  object(1, 3, 9) + "," + object(2, 2, 9)));
  const auto data = open_annotated(folder.path("x.json"));
  EXPECT_EQ(names_in(data->images(), folder), Names{"b.png"});
  EXPECT_EQ(described(*data, 0), "cat 1 2 5 5");
  EXPECT_EQ(data->image_id(0), 3);
  EXPECT_EQ(count(*data, "images that are not there"), 1);
  EXPECT_EQ(count(*data, "images of another size than their annotations say"), 1);
}

TEST(AnnotatedCoco, WhatIsMeantMustBeClear) {
  const Folder folder;
  folder.image("a.png");
  const std::string text = document(image(1, "a.png"), object(1, 1, 9));
  folder.write("old_train.json", text);
  folder.write("new_train.json", text);
  EXPECT_NE(error_of(ExitCode::data, [&] { open_annotated(folder.path()); })
                .find("may both be for 'train'"),
            std::string::npos);
  folder.write("p.json",
               R"({"images": [{"id": 1, "file_name": "a.png"}], "annotations": [{"image_id": 1,
                   "file_name": "a.png", "segments_info": []}], "categories": []})");
  EXPECT_NE(
      error_of(ExitCode::data, [&] { open_annotated(folder.path("p.json")); }).find("panoptic"),
      std::string::npos);
  EXPECT_NE(error_of(ExitCode::data, [&] { open_annotated(folder.path("new_train.json"), "test"); })
                .find("no COCO document for 'test'"),
            std::string::npos);
}

// Categories of one name stay two classes.
TEST(AnnotatedCoco, NamesThatAreThereTwice) {
  const Folder folder;
  folder.image("a.png");
  folder.write("x.json",
               document(image(1, "a.png"), object(1, 1, 2),
                        R"("categories": [{"id": 1, "name": "n"}, {"id": 2, "name": "n"}])"));
  EXPECT_EQ(open_annotated(folder.path("x.json"))->class_names(), (Names{"n", "n (2)"}));
}

}  // namespace
}  // namespace sgmae
