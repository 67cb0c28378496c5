// Oracle: verdicts counted by hand; a file of results and the evaluator's own numbers (whole runs
// are in tests/tasks/detect_test.cpp).
#include "sgmae/eval/detection_scores.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "sgmae/eval/detector_file.h"
#include "tests/eval/shapes_data.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace sgmae {
namespace {

Instance truth(double x, double y, double side, std::int64_t category, bool crowd = false) {
  return {.box = {x, y, x + side, y + side}, .category = category, .crowd = crowd, .shape = {}};
}

DetectedObject found(double x, double y, double side, std::int64_t category, double score) {
  return {.category = category, .score = score, .box = {x, y, side, side}};
}

TEST(Judge, CountsWhatSomebodyWouldSee) {
  DetectionConfusion confusion(2);
  const std::vector<Instance> objects{truth(0, 0, 10, 0), truth(20, 0, 10, 1), truth(40, 0, 10, 1),
                                      truth(60, 0, 30, 0, true)};
  const ImageVerdict verdict = judge(7, objects,
                                     {found(1, 0, 10, 0, 0.9),    // right
                                      found(0, 1, 10, 0, 0.8),    // the same once more
                                      found(20, 0, 10, 0, 0.7),   // another class
                                      found(62, 2, 10, 0, 0.6),   // in the crowd
                                      found(100, 0, 10, 1, 0.6),  // nothing is there
                                      found(40, 0, 10, 1, 0.4)},  // nobody would look at it
                                     confusion);
  EXPECT_EQ(verdict.image, 7);
  EXPECT_EQ(verdict.right, 1);
  EXPECT_EQ(verdict.wrong, 3);
  EXPECT_EQ(verdict.missed, 1);
  EXPECT_EQ(confusion.counts, (std::vector<std::int64_t>{1, 0, 0,  // truth 0: found right
                                                         1, 0, 1,  // truth 1: taken for 0, missed
                                                         1, 1, 0}));  // nothing: found 0 and 1
  EXPECT_DOUBLE_EQ(verdict.quality(), 2.0 / 6);
}

TEST(Judge, AnEmptyImageWithoutDetectionsIsPerfect) {
  DetectionConfusion confusion(1);
  EXPECT_EQ(judge(0, {}, {}, confusion).quality(), 1);
  EXPECT_EQ(judge(0, {}, {found(0, 0, 5, 0, 0.9)}, confusion).quality(), 0);
}

TEST(ResultEntries, AreCocos) {
  DetectedObject object = found(1.5, 2, 4, 1, 0.25);
  object.mask = {{2, 3}, {1, 2, 3}};
  const std::string entries = result_entries({{"image_id", 5}}, {object}, {10, 90});
  EXPECT_EQ(nlohmann::json::parse("[" + entries.substr(0, entries.size() - 2) + "]"),
            nlohmann::json::parse(R"([{"image_id": 5, "category_id": 90, "bbox": [1.5, 2, 4, 4],
                                       "score": 0.25,
                                       "segmentation": {"size": [3, 2], "counts": "123"}}])"));
  EXPECT_EQ(result_entries({{"image_id", 5}}, {}, {10, 90}), "");
}

MaskRcnn tiny_model(std::int64_t classes) {
  MaskRcnnConfig c;
  VitConfig vit;
  vit.size = {16, 2, 2};
  vit.mlp_hidden = 32;
  vit.patch_size = 8;
  c.backbone = detection_backbone(vit, 64, 64, 3, {});
  c.classes = classes;
  c.channels = 8;
  c.box_hidden = 16;
  c.box_convs = c.mask_convs = 1;
  c.rois.lowest_score = 0;
  c.rois.detections = 10;
  return MaskRcnn(c, 3);
}

TEST(FindObjects, AreInPixelsOfTheImageWithMasksOfItsSize) {
  const MaskRcnn model = tiny_model(2);
  const ImageSize source{200, 100};
  const auto objects = find_objects(model, noise({3, 64, 64}, 1), source,
                                    {.scaled = {64, 32}, .x = 0, .y = 0, .content = {64, 32}});
  ASSERT_FALSE(objects.empty());
  double right = 0, last = 1;
  for (const DetectedObject& object : objects) {
    EXPECT_GE(object.box.x, 0);
    EXPECT_LE(object.box.x + object.box.width, 200 + 1e-9);
    EXPECT_LE(object.box.y + object.box.height, 100 + 1e-9);
    EXPECT_LE(object.score, last);
    EXPECT_EQ(object.mask.size, source);
    right = std::max(right, object.box.x + object.box.width);
    last = object.score;
  }
  EXPECT_GT(right, 64) << "not in pixels of the canvas";
}

LoaderOptions whole_canvas() {
  LoaderOptions loader;
  loader.height = loader.width = 64;
  loader.num_workers = 0;
  loader.batch_size = 2;
  loader.fit = Fit::inside;
  loader = whole_images(loader);
  loader.fit = Fit::inside;
  return loader;
}

TEST(TestDetector, SeesEveryImageOnceAndSaysNothingOfClassesWithoutObjects) {
  const TemporaryFolder folder;
  shapes::write(folder.root(), "train", 5);
  const auto data = open_annotated(folder.root().string());
  data->use_classes({"box", "wedge", "ring"});
  const DetectionTest test = test_detector(tiny_model(3), *data, whole_canvas());
  EXPECT_EQ(test.images, 5);
  ASSERT_EQ(test.verdicts.size(), 5u);
  for (std::int64_t i = 0; i < 5; ++i)
    EXPECT_EQ(test.verdicts[static_cast<std::size_t>(i)].image, i);
  const auto json = to_json(test, data->class_names());
  EXPECT_TRUE(json["per_class"]["ring"]["box_ap"].is_null());
  EXPECT_EQ(json["per_class"]["ring"]["objects"], 0);
  EXPECT_EQ(json["precision"]["box"]["0.5"].size(), 101u);
  EXPECT_EQ(score_entries(test).contains("mask_ap"), true);
}

// What the detector finds, as the truth: with outlines of every second object it still finds all
// that it can be asked for.
TEST(TestDetector, ObjectsWithoutOutlineCountInBoxesAlone) {
  const TemporaryFolder folder;
  shapes::write(folder.root(), "train", 5);
  const MaskRcnn model = tiny_model(2);
  const auto file = folder.root() / "annotations" / "instances_train.json";
  std::string found =
      test_detector(model, *open_annotated(folder.root().string()), whole_canvas()).found;
  found.resize(found.size() - 2);
  auto document = nlohmann::json::parse(read_file(file));
  document["annotations"] = nlohmann::json::array();
  std::int64_t outlines = 0, boxes = 0;
  for (nlohmann::json entry : nlohmann::json::parse("[" + found + "]")) {
    const Runs mask = runs_of_text(entry["segmentation"]["counts"].get<std::string>(),
                                   {shapes::width, shapes::height});
    if (area_of(mask) == 0) continue;
    entry["id"] = outlines + boxes + 1;
    entry["area"] = area_of(mask);
    if (boxes < outlines) {
      entry.erase("segmentation");
      ++boxes;
    } else {
      ++outlines;
    }
    document["annotations"].push_back(entry);
  }
  ASSERT_GT(boxes, 5);
  write_file(file, document.dump());
  const auto data = open_annotated(folder.root().string());
  const auto result = to_json(test_detector(model, *data, whole_canvas()), data->class_names());
  EXPECT_EQ(result["objects_without_outline"], boxes);
  EXPECT_EQ(result["box_ar100"], 1);
  EXPECT_EQ(result["mask_ar100"], 1);
}

}  // namespace
}  // namespace sgmae
