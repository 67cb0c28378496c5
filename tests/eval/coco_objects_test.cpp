// Oracles: documents small enough to work out by hand.
#include "sgmae/eval/coco_objects.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>

#include "sgmae/base/log.h"
#include "tests/data/folder.h"

namespace sgmae {
namespace {

using nlohmann::json;

const ImageSize kSize{8, 4};

json image(int id, const std::string& name) {
  return {{"id", id}, {"file_name", name}, {"width", 8}, {"height", 4}, {"license", 1}};
}

// COCO has its lists in this order; annotations first is harder.
json document(const std::vector<json>& images, std::vector<json> annotations) {
  for (json& annotation : annotations)
    if (!annotation.contains("category_id")) annotation["category_id"] = 1;
  return {{"categories", {{{"id", 1}, {"name", "thing"}}}},
          {"annotations", annotations},
          {"images", images},
          {"info", {{"a", {{"b", {1}}}}}}};
}

// A source of images of these names, and the document's objects in them.
struct Coco {
  Folder folder;
  std::unique_ptr<Source> source;

  explicit Coco(const Names& names) {
    Names paths;
    for (const std::string& name : names) paths.push_back(folder.path(name));
    source = open_files(paths);
  }
  CocoObjects open(const json& document, const std::string& name = "a.json") const {
    folder.write(name, document.dump());
    std::vector<std::int64_t> images(static_cast<std::size_t>(source->size()));
    std::iota(images.begin(), images.end(), std::int64_t{0});
    return CocoObjects(folder.path(name), *source, images);
  }
  std::string error(const json& document) const {
    return error_of(ExitCode::data, [&] { open(document).of(0, kSize, whole(kSize)); });
  }
};

std::vector<float> cover(const CocoObjects& objects, std::int64_t index) {
  const auto seen = objects.of(index, kSize, whole(kSize));
  return seen && !seen->boxes.empty() ? object_cover(*seen, 1, 4) : std::vector<float>{};
}

const json box_left{{"image_id", 1}, {"bbox", {0, 0, 2, 4}}, {"iscrowd", 0}};

TEST(CocoObjects, ReadsPolygonsRunsTextsAndBoxes) {
  const Coco coco({"a.jpg", "b.jpg", "c.jpg", "d.jpg"});
  const json runs{{"counts", {8, 8, 16}}, {"size", {4, 8}}};
  const CocoObjects objects = coco.open(document(
      {image(1, "a.jpg"), image(2, "b.jpg"), image(3, "c.jpg"), image(4, "d.jpg")},
      {{{"image_id", 1}, {"segmentation", {{0, 0, 2, 0, 2, 4, 0, 4}, {4, 0, 5, 0, 5, 4, 4, 4}}}},
       {{"image_id", 1}, {"segmentation", json::array()}, {"bbox", {7, 0, 1, 4}}},
       {{"image_id", 2}, {"segmentation", runs}, {"iscrowd", 1}},
       {{"image_id", 3}, {"segmentation", {{"counts", "88`0"}, {"size", {4, 8}}}}},
       {{"image_id", 99}, {"bbox", {0, 0, 1, 1}}}}));
  EXPECT_EQ(cover(objects, 0), (std::vector<float>{1, 0, 0.5f, 0.5f}));
  EXPECT_EQ(objects.of(0, kSize, whole(kSize))->boxes.size(), 2u);
  EXPECT_EQ(cover(objects, 1), (std::vector<float>{0, 1, 0, 0}));
  EXPECT_EQ(cover(objects, 2), (std::vector<float>{0, 1, 0, 0}));
  // Listed, and nothing is on it.
  EXPECT_TRUE(objects.of(3, kSize, whole(kSize))->boxes.empty());
}

TEST(CocoObjects, FindsImagesByName) {
  set_log_quiet(true);
  const Coco coco({"x/a.jpg", "y/a.jpg", "x/b.jpg", "x/c.jpg", "x/d.jpg", "y/d.jpg"});
  std::vector<json> annotations;
  for (int id = 1; id <= 5; ++id)
    annotations.push_back({{"image_id", id}, {"bbox", {id - 1, 0, 1, 4}}});
  const CocoObjects objects =
      coco.open(document({image(1, "y/a.jpg"), image(2, "./x/a.jpg"), image(3, "images/z/b.jpg"),
                          image(4, "elsewhere.jpg"), image(5, "d.jpg")},
                         annotations));
  EXPECT_EQ(cover(objects, 0), (std::vector<float>{0.5f, 0, 0, 0}));
  EXPECT_EQ(objects.of(0, kSize, whole(kSize))->boxes[0].left, 0.125);
  EXPECT_EQ(objects.of(1, kSize, whole(kSize))->boxes[0].left, 0);
  EXPECT_EQ(objects.of(2, kSize, whole(kSize))->boxes[0].left, 0.25);  // the only b.jpg
  EXPECT_FALSE(objects.of(3, kSize, whole(kSize)).has_value());
  EXPECT_FALSE(objects.of(4, kSize, whole(kSize)).has_value());  // d.jpg may be either
  EXPECT_FALSE(objects.of(5, kSize, whole(kSize)).has_value());
}

TEST(CocoObjects, CountsWhatHasNoMarks) {
  const Coco coco({"x/a.jpg", "x/c.jpg", "x/d.jpg", "y/d.jpg"});
  {
    const LogFile log(coco.folder.path("log.txt"));
    coco.open(document({image(1, "a.jpg"), image(5, "d.jpg")}, {box_left}));
  }
  const std::string log = read_text(coco.folder.path("log.txt"));
  EXPECT_NE(log.find("without marks are 1 of 4 images"), std::string::npos) << log;
  EXPECT_NE(log.find("and 2 whose names may mean several"), std::string::npos) << log;
}

// Things are objects, stuff and pixels of no segment are not.
TEST(CocoObjects, ReadsPanopticSegmentations) {
  const Coco coco({"a.jpg"});
  Image colours{8, 4, 3, std::vector<std::uint8_t>(96, 0)};
  for (int y = 0; y < 4; ++y)
    for (int x = 0; x < 8; ++x) {
      std::uint8_t* pixel = &colours.pixels[static_cast<std::size_t>(y * 8 + x) * 3];
      pixel[x < 2 ? 0 : x < 4 ? 1 : 2] = x < 6 ? 3 : 0;  // 3, 3 · 256, 3 · 65536, nothing
    }
  const auto bytes = encode_png(view(colours));
  coco.folder.write("panoptic_val/a.png", std::string(bytes.begin(), bytes.end()));
  json panoptic = document({image(1, "a.jpg")}, {{{"image_id", 1},
                                                  {"file_name", "a.png"},
                                                  {"segments_info",
                                                   {{{"id", 196608}, {"category_id", 1}},
                                                    {{"id", 3}, {"category_id", 1}},
                                                    {{"id", 768}, {"category_id", 7}}}}}});
  panoptic["categories"] = {{{"id", 1}, {"isthing", 1}}, {{"id", 7}, {"isthing", 0}}};
  const CocoObjects objects = coco.open(panoptic, "panoptic_val.json");
  EXPECT_EQ(cover(objects, 0), (std::vector<float>{1, 0, 1, 0}));
  const auto part = objects.of(0, kSize, {4, 1, 4, 2});
  ASSERT_EQ(part->boxes.size(), 1u);
  EXPECT_EQ(part->boxes[0].right, 0.5);
  EXPECT_EQ(object_cover(*part, 1, 2), (std::vector<float>{1, 0}));

  const auto error = [&](const json& bad) {
    return error_of(ExitCode::data,
                    [&] { coco.open(bad, "panoptic_val.json").of(0, kSize, whole(kSize)); });
  };
  json bad = panoptic;
  bad["categories"][0].erase("isthing");
  EXPECT_NE(error(bad).find("a.png: 'categories' does not say whether category 1"),
            std::string::npos);
  bad = panoptic;
  bad["annotations"][0]["file_name"] = "missing.png";
  EXPECT_NE(error(bad).find("missing.png"), std::string::npos);
  coco.folder.image("panoptic_val/a.png", 1, 4, 8);
  EXPECT_NE(error(panoptic).find("4x8"), std::string::npos);
  std::filesystem::remove_all(coco.folder.path("panoptic_val"));
  EXPECT_NE(error(panoptic).find("panoptic_val/ beside it"), std::string::npos);
}

TEST(CocoObjects, ErrorsNameTheEntry) {
  const Coco coco({"a.jpg"});
  const auto says = [&](const json& annotation, const char* words) {
    const std::string error = coco.error(document({image(1, "a.jpg")}, {box_left, annotation}));
    EXPECT_NE(error.find("a.json: annotations[1]"), std::string::npos) << error;
    EXPECT_NE(error.find(words), std::string::npos) << error;
  };
  const auto shape = [](const json& segmentation) {
    return json{{"image_id", 1}, {"segmentation", segmentation}};
  };
  says({{"id", 7}}, "'image_id'");
  says({{"image_id", 1}, {"caption", "a dog"}}, "neither 'segmentation' nor 'bbox'");
  says({{"image_id", 1}, {"bbox", {1, 2, 3}}}, "'bbox'");
  says({{"image_id", 1}, {"bbox", {1, 2, 1e30, 4}}}, "'bbox'");
  says(shape({{1, 2, 3}}), "odd");
  says(shape({{1, 2, "x", 4}}), "a polygon");
  says(shape({1, 2, 3, 4}), "neither a list of polygons");
  says(shape({{"counts", {1, 2}}, {"size", {4, 8}}}), "3 pixels");
  says(shape({{"counts", {-1, 33}}, {"size", {4, 8}}}), "'counts'");
  says(shape({{"counts", "m"}, {"size", {4, 8}}}), "ends within a number");
  says(shape({{"counts", {32}}}), "'size'");
  says(shape({{"size", {4, 8}}}), "'counts'");
}

TEST(CocoObjects, RefusesOtherDocuments) {
  const Coco coco({"a.jpg", "b.jpg"});
  EXPECT_NE(coco.error(json::array({1})).find("a.json"), std::string::npos);
  EXPECT_NE(coco.error(json::object()).find("lists no images"), std::string::npos);
  const json runs{{"image_id", 1}, {"segmentation", {{"counts", {16, 16}}, {"size", {8, 4}}}}};
  EXPECT_NE(coco.error(document({image(1, "a.jpg")}, {runs})).find("4x8"), std::string::npos);
  EXPECT_NE(coco.error(document({image(1, "a.jpg")}, {})).find("no annotations"),
            std::string::npos);
  EXPECT_NE(coco.error(document({json{{"file_name", "a.jpg"}}}, {box_left})).find("images[0]"),
            std::string::npos);
  EXPECT_NE(coco.error(document({image(1, "a.jpg"), image(1, "b.jpg")}, {box_left}))
                .find("two images have the id 1"),
            std::string::npos);
  json other = document({image(1, "a.jpg")}, {box_left});
  other["images"][0]["width"] = 9;
  EXPECT_NE(coco.error(other).find("9x4"), std::string::npos);
  coco.folder.write("a.json", R"({"images": [{"id": 1, "file_name")");
  const std::vector<std::int64_t> images{0};
  EXPECT_NE(error_of(ExitCode::data,
                     [&] { CocoObjects(coco.folder.path("a.json"), *coco.source, images); })
                .find("damaged"),
            std::string::npos);
}

}  // namespace
}  // namespace sgmae
