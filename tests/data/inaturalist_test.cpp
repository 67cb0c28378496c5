// Oracle: the competition's description of its JSON, written out by hand.
#include <gtest/gtest.h>

#include "folder.h"

namespace sgmae {
namespace {

TEST(INaturalist, ImagesCategoriesAndSplits) {
  Folder folder;
  folder.image("train_val2019/Birds/7/a.png", 5);
  folder.write("train2019.json", R"({
    "info": {"year": 2019}, "licenses": [{"id": 1, "name": "CC"}],
    "images": [{"id": 11, "file_name": "train_val2019/Birds/7/a.png", "license": 1, "width": 12},
               {"id": 12, "file_name": "train_val2019/Plants/3/b.png"},
               {"id": 13, "file_name": "c.png"}],
    "categories": [{"id": 7, "name": "Wren", "supercategory": "Birds"}, {"id": 3, "name": "Yew"}],
    "annotations": [{"id": 0, "image_id": 12, "category_id": 3},
                    {"id": 1, "image_id": 11, "category_id": 7}]})");
  folder.write("val2019.json", R"({"images": [{"id": 1, "file_name": "v.png"}],
    "categories": [{"id": 7, "name": "Wren"}, {"id": 3, "name": "Yew"}],
    "annotations": [{"image_id": 1, "category_id": 7}]})");
  for (const std::string& path : {folder.path(), folder.path("train2019.json")}) {
    const auto train = open_source(path);
    EXPECT_EQ(train->class_names(), (Names{"Yew", "Wren"}));  // by id
    EXPECT_EQ(train->labels(), (Ids{1, 0, -1}));
    EXPECT_EQ(red_of(*train, 0), 5);
    EXPECT_EQ(open_source(path, "val")->labels(), Ids{1});
  }
  EXPECT_EQ(
      names_in(*open_source(folder.path("val2019.json"), "train", folder.path("root")), folder),
      Names{"root/v.png"});
}

// The names of 2021, which do not speak for themselves.
TEST(INaturalist, NamesWithoutAYear) {
  Folder folder;
  for (const std::string name : {"train", "train_mini", "val"}) {
    folder.image(name + "/0_Animalia/x.png");
    folder.write(name + ".json",
                 R"({"images": [{"id": 1, "file_name": ")" + name +
                     R"(/0_Animalia/x.png"}], "categories": [{"id": 0, "name": "Yew"}],
        "annotations": [{"image_id": 1, "category_id": 0}]})");
  }
  const auto image = [&](const std::string& path, const std::string& split) {
    const auto source = open_source(folder.path(path), split, "", DataFormat::inaturalist);
    EXPECT_EQ(source->class_names(), Names{"Yew"});
    return names_in(*source, folder).at(0);
  };
  EXPECT_EQ(image("", "train"), "train/0_Animalia/x.png");
  EXPECT_EQ(image("train_mini.json", "train"), "train_mini/0_Animalia/x.png");
  EXPECT_EQ(image("train_mini.json", "val"), "val/0_Animalia/x.png");
  std::filesystem::remove(folder.path("train.json"));
  EXPECT_EQ(image("", "train"), "train_mini/0_Animalia/x.png");
  EXPECT_EQ(open_source(folder.path())->class_names(), Names{"0_Animalia"})
      << "without being asked";
}

// Ids as other exporters write them; -1 is no category.
TEST(INaturalist, IdsAndWhatIsLeftOut) {
  Folder folder;
  folder.write("x.json",
               R"({"images": [{"id": 1.0, "file_name": "a"}, {"id": "2", "file_name": "b"}],
    "categories": [{"id": 5.0, "name": "Yew"}],
    "annotations": [{"image_id": 1, "category_id": 5}, {"image_id": 2, "category_id": -1},
                    {"image_id": 9, "category_id": 5}]})");
  const auto source = open_source(folder.path("x.json"));
  EXPECT_EQ(source->labels(), (Ids{0, -1}));
  ASSERT_EQ(source->left_out().size(), 1u);
  EXPECT_EQ(source->left_out()[0].count, 1);
}

TEST(INaturalist, Damaged) {
  Folder folder;
  const auto why = [&](const std::string& json) {
    folder.write("x.json", json);
    return error_of(ExitCode::data, [&] { open_source(folder.path("x.json")); });
  };
  EXPECT_NE(why("{\"images\": [").find("x.json is damaged"), std::string::npos);
  EXPECT_NE(why("{\"x\": " + std::string(500'000, '[')).find("x.json is damaged"),
            std::string::npos);
  EXPECT_NE(why("{}").find("not a list of images"), std::string::npos);
  EXPECT_NE(why(R"({"images": [{"id": "x"}], "categories": []})").find("not a list of images"),
            std::string::npos);
  for (const char* id : {"1.1e78", "1.5", "null"})  // beyond, and between, what an id can be
    EXPECT_NE(why(str(R"({"images": [], "categories": [{"id": )", id, R"(, "name": "a"}]})"))
                  .find("no number 'id'"),
              std::string::npos);
  EXPECT_NE(why(R"({"images": [], "categories": []})").find("lists no image"), std::string::npos);
  const std::string images = R"({"images": [{"id": 1, "file_name": "a"}],
    "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}], "annotations": )";
  EXPECT_NE(why(images + R"([{"image_id": 1, "category_id": 3}]})").find("category 3"),
            std::string::npos);
  EXPECT_NE(
      why(images + R"([{"image_id": 1, "category_id": 1}, {"image_id": 1, "category_id": 2}]})")
          .find("for detection"),
      std::string::npos);
}

}  // namespace
}  // namespace sgmae
