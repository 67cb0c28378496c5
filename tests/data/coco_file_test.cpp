// Oracles: documents small enough to work out by hand; nlohmann's parser for a drawn one.
#include "sgmae/data/coco_file.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/data/folder.h"

namespace sgmae {
namespace {

using nlohmann::json;

struct Document {
  Folder folder;
  CocoFile open(const std::string& text) const {
    folder.write("a.json", text);
    return CocoFile(folder.path("a.json"));
  }
  std::string why(const std::string& text) const {
    return error_of(ExitCode::data, [&] { open(text); });
  }
};

// Two images, two categories with a gap between their ids, and one annotation.
json small() {
  return json::parse(R"({"images": [{"id": 30, "file_name": "b/c.jpg", "width": 20, "height": 10},
                                    {"id": 7, "file_name": "d.jpg", "width": 5, "height": 5}],
    "categories": [{"id": 3, "name": "cat"}, {"id": 90, "name": "dog"}],
    "annotations": [{"id": 11, "image_id": 7, "category_id": 90, "bbox": [1, 2, 3, 2.5],
                     "area": 6.5, "iscrowd": 0, "segmentation": [[1, 2, 4, 2, 4, 4.5]]}]})");
}

std::map<std::string, std::int64_t> counts(const CocoFile& file) {
  std::map<std::string, std::int64_t> counts;
  for (const LeftOut& entry : file.left_out())
    counts[entry.reason.substr(0, entry.reason.find(':'))] = entry.count;
  return counts;
}

TEST(CocoFile, Reads) {
  const Document document;
  const CocoFile file = document.open(small().dump());
  ASSERT_EQ(file.images().size(), 2u);
  EXPECT_EQ(file.images()[0].file_name, "b/c.jpg");
  EXPECT_EQ(file.images()[0].size, (ImageSize{20, 10}));
  EXPECT_EQ(file.categories()[1].name, "dog");
  EXPECT_TRUE(file.objects_of(0).empty());
  ASSERT_EQ(file.objects_of(1).size(), 1u);
  const CocoAnnotation& object = file.objects_of(1)[0];
  EXPECT_EQ(object.id, 11);
  EXPECT_EQ(object.category, 1);
  EXPECT_EQ(object.box, (CocoBox{1, 2, 3, 2.5}));
  EXPECT_EQ(object.box.pixels(), (PixelBox{1, 2, 4, 4.5}));
  EXPECT_EQ(object.area, 6.5);
  EXPECT_FALSE(object.crowd);
  EXPECT_EQ(file.shape(object).polygons, (std::vector<std::vector<double>>{{1, 2, 4, 2, 4, 4.5}}));
  EXPECT_TRUE(file.left_out().empty());
  EXPECT_FALSE(file.is_panoptic());
}

// Lists in any order, members too, and what is not known among them.
TEST(CocoFile, ReadsAnyOrder) {
  const Document document;
  const json one = small();
  for (const std::vector<const char*>& order :
       std::vector<std::vector<const char*>>{{"annotations", "categories", "images"},
                                             {"categories", "annotations", "images"},
                                             {"images", "annotations", "categories"}}) {
    std::string text = R"({"info": {"images": [1, {"id": 2}]}, "licenses": [])";
    for (const char* list : order) text += str(", \"", list, "\": ", one.at(list).dump());
    const CocoFile file = document.open(text + "}");
    EXPECT_EQ(file.objects_of(1).size(), 1u);
    EXPECT_EQ(file.objects_of(1)[0].category, 1);
  }
}

TEST(CocoFile, ReadsRunLengths) {
  const Document document;
  json one = small();
  json& annotation = one["annotations"][0];
  const Runs runs{{5, 5}, {3, 4, 18}};
  for (const json& counted : {json(text_of(runs)), json(runs.counts)}) {
    annotation["segmentation"] = {{"size", {5, 5}}, {"counts", counted}};
    const CocoFile file = document.open(one.dump());
    EXPECT_EQ(file.shape(file.annotations()[0]).runs, runs);
    EXPECT_TRUE(file.left_out().empty());
  }
  annotation["segmentation"] = {{"counts", {3, 4, 18}}, {"size", {5, 5}}, {"more", {{"a", {1}}}}};
  EXPECT_TRUE(document.open(one.dump()).left_out().empty());
}

// Drawn documents: what nlohmann's parser says, by image.
TEST(CocoFile, AgreesWithNlohmannsParser) {
  const Document document;
  std::mt19937 draw(3);
  const auto pixels = [&](int most) { return static_cast<double>(draw() % (most * 100)) / 100; };
  json all{{"images", json::array()}, {"categories", json::array()}};
  for (int i = 0; i < 20; ++i) all["images"].push_back({{"id", 1000 - 7 * i}, {"width", 90}});
  for (int i = 0; i < 5; ++i) all["categories"].push_back({{"id", 2 * i}, {"name", str("c", i)}});
  for (int i = 0; i < 500; ++i) {
    std::vector<std::vector<double>> polygons(1 + draw() % 3);
    for (auto& polygon : polygons)
      for (unsigned n = 2 * (3 + draw() % 9); n > 0; --n) polygon.push_back(pixels(90) - 5);
    all["annotations"].push_back({{"segmentation", polygons},
                                  {"iscrowd", draw() % 2},
                                  {"image_id", 1000 - 7 * (draw() % 20)},
                                  {"category_id", 2 * (draw() % 5)},
                                  {"bbox", {pixels(90), pixels(90), pixels(9), pixels(9)}},
                                  {"area", pixels(500)},
                                  {"id", 3 * i}});
  }
  const CocoFile file = document.open(all.dump());
  std::map<std::int64_t, std::vector<const json*>> of;
  for (const json& annotation : all["annotations"])
    of[annotation["image_id"]].push_back(&annotation);
  std::size_t seen = 0;
  for (std::size_t i = 0; i < file.images().size(); ++i) {
    const auto objects = file.objects_of(static_cast<std::int64_t>(i));
    const auto& theirs = of[file.images()[i].id];
    ASSERT_EQ(objects.size(), theirs.size());
    for (std::size_t j = 0; j < objects.size(); ++j, ++seen) {
      const json& one = *theirs[j];
      EXPECT_EQ(objects[j].id, one["id"]);
      EXPECT_EQ(file.categories()[static_cast<std::size_t>(objects[j].category)].id,
                one["category_id"]);
      EXPECT_EQ(objects[j].box,
                (CocoBox{one["bbox"][0], one["bbox"][1], one["bbox"][2], one["bbox"][3]}));
      EXPECT_EQ(objects[j].area, one["area"]);
      EXPECT_EQ(objects[j].crowd, one["iscrowd"] == 1);
      EXPECT_EQ(json(file.shape(objects[j]).polygons), one["segmentation"]);
    }
  }
  EXPECT_EQ(seen, 500u);
}

// What labelling tools leave out or write otherwise is mended, and counted.
TEST(CocoFile, MendsAndCounts) {
  const Document document;
  const CocoFile file = document.open(R"({"images": [
      {"id": "1", "file_name": "a.jpg", "width": "20", "height": 10.0},
      {"id": 2, "coco_url": "http://images.org/val2017/b.jpg"}, {"id": 3}],
    "categories": [{"id": 0, "name": "super"}, {"id": 1}],
    "annotations": [
      {"image_id": 1, "category_id": "1", "bbox": ["1", 2, 3, 4], "iscrowd": false},
      {"id": 2, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 4, 0, 0, 4], [1, 2, 3, 4]]},
      {"id": 3, "image_id": 1, "category_id": 1, "bbox": [1, 1, 0, 5], "segmentation": []},
      {"id": 4, "image_id": 1, "category_id": 1, "bbox": [1, 1, 20.5, 5], "area": null},
      {"id": 5, "image_id": 1, "category_id": 1, "bbox": [10, 1, 12, 5], "segmentation": null},
      {"id": 6, "image_id": 99, "category_id": 1, "bbox": [1, 1, 2, 5]},
      {"id": 7, "image_id": 2, "category_id": 5, "bbox": [1, 1, 2, 5]},
      {"id": 8, "image_id": 1, "category_id": 1, "iscrowd": 1,
       "segmentation": {"size": [2, 2], "counts": [1, 2, 1]}}]})");
  EXPECT_EQ(file.images()[0].size, (ImageSize{20, 10}));
  EXPECT_EQ(file.images()[1].file_name, "val2017/b.jpg");
  EXPECT_EQ(file.categories()[1].name, "1");
  const auto objects = file.objects_of(0);
  ASSERT_EQ(objects.size(), 6u);
  EXPECT_EQ(objects[0].area, 12);
  EXPECT_EQ(objects[1].area, 8);  // of the polygon, not of its pixels
  EXPECT_EQ(objects[1].box, (CocoBox{0, 0, 4, 4}));
  EXPECT_EQ(file.shape(objects[1]).polygons.size(), 1u);
  EXPECT_TRUE(file.shape(objects[2]).empty());
  EXPECT_EQ(objects[5].area, 2);
  EXPECT_EQ(objects[5].box, (CocoBox{0, 0, 2, 2}));
  EXPECT_TRUE(objects[5].crowd);
  EXPECT_EQ(counts(file), (std::map<std::string, std::int64_t>{
                              {"annotations without 'id'", 1},
                              {"annotations without 'area'", 8},
                              {"annotations without 'iscrowd'", 6},
                              {"annotations without 'bbox'", 2},
                              {"annotations without 'segmentation'", 6},
                              {"numbers written as texts", 4},
                              {"polygons of fewer than three points", 1},
                              {"boxes without width or height", 1},
                              {"boxes that reach beyond their image by more than a pixel", 2},
                              {"run lengths of another size than their image", 1},
                              {"images without 'file_name'", 1},
                              {"annotations of images that are not listed", 1},
                              {"annotations of categories that are not listed", 1}}));
  for (const LeftOut& entry : file.left_out()) EXPECT_FALSE(entry.example.empty()) << entry.reason;
}

TEST(CocoFile, ErrorsNameAnnotationAndField) {
  const Document document;
  const auto says = [&](const char* field, const std::string& value, const char* words) {
    json one = small();
    one["annotations"][0][field] = "HERE";
    std::string text = one.dump();
    text.replace(text.find("\"HERE\""), 6, value);
    const std::string why = document.why(text);
    EXPECT_NE(why.find("a.json: annotations[0] (id 11): "), std::string::npos) << why;
    EXPECT_NE(why.find(words), std::string::npos) << why;
  };
  for (const char* number :
       {"NaN", "Infinity", "1e308", "-1e308", "1e999", "1000001", "\"x\"", "[1]", "null", "true"})
    says("bbox", str("[1, 2, ", number, ", 4]"), "'bbox' is no number that can be meant");
  says("bbox", "[1, 2, 3]", "'bbox' is not x, y, width and height");
  says("bbox", "[1, 2, 3, 4, 5]", "'bbox' is not x, y, width and height");
  says("bbox", "{}", "'bbox' is not x, y, width and height");
  says("area", "NaN", "'area' is no number");
  says("area", "1e308", "'area' is no number");
  says("iscrowd", "2", "'iscrowd' is neither 0 nor 1");
  says("image_id", "7.5", "'image_id' is no whole number");
  says("image_id", "\"a.jpg\"", "'image_id' is no whole number");
  says("category_id", "null", "'category_id' is no whole number");
  for (const char* number : {"NaN", "-Infinity", "1e308", "1000001", "12345678.5"})
    says("segmentation", str("[[1, 2, 3, 4, 5, ", number, "]]"), "a number that is none of pixels");
  says("segmentation", "[[1, 2, 3, 4, 5]]", "odd");
  says("segmentation", "[[1, 2, 3, 4, 5, \"6\"]]", "no list of numbers");
  says("segmentation", "[1, 2, 3, 4]", "neither a list of polygons nor run lengths");
  says("segmentation", "\"x\"", "neither a list of polygons nor run lengths");
  const auto runs = [&](const std::string& inside, const char* words) {
    says("segmentation", "{" + inside + "}", words);
  };
  runs(R"("size": [5, 5], "counts": [3, 4])", "7 pixels for a mask of 5x5");
  runs(R"("size": [5, 5], "counts": "m")", "ends within a number");
  runs(R"("size": [5, 5], "counts": "88`0")", "pixels for a mask of 5x5");
  runs(R"("size": [5, 5], "counts": [-1, 26])", "'counts'");
  runs(R"("size": [5, 5], "counts": [1.5])", "'counts'");
  runs(R"("size": [5, 5])", "'counts'");
  runs(R"("counts": [25])", "'size'");
  runs(R"("size": [5, 5, 1], "counts": [25])", "'size'");
  runs(R"("size": [1e9, 5], "counts": [25])", "'size'");
  runs(R"("size": [1000000, 1000000], "counts": [25])", "1000000x1000000");
}

TEST(CocoFile, RefusesOtherDocuments) {
  const Document document;
  EXPECT_NE(document.why("[]").find("is a list, as detections are"), std::string::npos);
  EXPECT_NE(document.why("7").find("no JSON object; expected COCO"), std::string::npos);
  EXPECT_NE(document.why("").find("a.json is damaged"), std::string::npos);
  EXPECT_NE(document.why(R"({"images": 7})").find("has no list 'images'"), std::string::npos);
  EXPECT_NE(document.why(R"({"images": [7]})").find("images[0]: it is no JSON object"),
            std::string::npos);
  for (const char* list : {"images", "categories", "annotations"}) {
    json one = small();
    one.erase(list);
    EXPECT_NE(document.why(one.dump()).find(str("lists no ", list)), std::string::npos);
    one = small();
    one[list].push_back(one[list][0]);
    EXPECT_NE(document.why(one.dump()).find(str("two ", list, " have the id")), std::string::npos);
    std::string twice = small().dump();
    twice.back() = ',';
    EXPECT_NE(document.why(twice + "\"" + list + "\": []}").find("has two lists"),
              std::string::npos);
  }
  // Captions are COCO's too.
  json captions = small();
  captions["annotations"] = {{{"id", 4}, {"image_id", 7}, {"category_id", 3}, {"caption", "a"}}};
  EXPECT_NE(document.why(captions.dump()).find("annotations[0] (id 4): there is neither"),
            std::string::npos);
}

// Cut anywhere it is one sentence.
TEST(CocoFile, CutAnywhere) {
  const Document document;
  const std::string text = small().dump();
  for (std::size_t length = 0; length < text.size(); ++length)
    EXPECT_NE(document.why(text.substr(0, length)).find("a.json is damaged"), std::string::npos);
}

TEST(CocoFile, ReadsPanopticDocuments) {
  const Document document;
  const CocoFile file = document.open(R"({"images": [{"id": 1, "file_name": "a.jpg"}],
    "categories": [{"id": 1, "name": "x", "isthing": 1}, {"id": 2, "name": "y", "isthing": 0}],
    "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info":
      [{"id": 70000, "category_id": 2, "bbox": [1, 2, 3, 4]}]}]})");
  EXPECT_TRUE(file.is_panoptic());
  EXPECT_EQ(file.categories()[0].is_thing, true);
  const CocoSegments segments = file.segments_of(file.annotations()[0]);
  EXPECT_EQ(segments.file_name, "a.png");
  ASSERT_EQ(segments.segments.size(), 1u);
  EXPECT_EQ(segments.segments[0].id, 70000);
  EXPECT_EQ(segments.segments[0].category_id, 2);
}

TEST(CocoFile, HoldsManyObjectsOnOneImage) {
  const Document document;
  json one = small();
  const json annotation = one["annotations"][0];
  for (int i = 0; i < 100'000; ++i) {
    one["annotations"].push_back(annotation);
    one["annotations"].back()["id"] = 1000 + i;
  }
  const CocoFile file = document.open(one.dump());
  EXPECT_EQ(file.objects_of(1).size(), 100'001u);
}

}  // namespace
}  // namespace sgmae
