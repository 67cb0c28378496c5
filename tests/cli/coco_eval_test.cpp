// sgmae coco-eval, run as a user runs it: exit codes, messages, JSON. Oracle: a set worked out by
// hand; eval/coco_eval_test.cpp holds the numbers against pycocotools.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/program.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

using nlohmann::json;

class CocoEvalCommand : public testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);  // see run_program_in
    folder_.write("found.json", R"([
      {"image_id": 1, "category_id": 7, "bbox": [0, 0, 50, 50], "score": 0.9},
      {"image_id": 1, "category_id": 2, "bbox": [0, 0, 50, 50], "score": 0.8},
      {"image_id": 1, "category_id": 3, "bbox": [0, 0, 50, 50], "score": 0.8}])");
    write(truth_);
  }
  void write(const json& truth) const { folder_.write("truth.json", truth.dump()); }
  Outcome run(const std::string& arguments = "truth.json found.json") const {
    return run_program_in(folder_.path(), "coco-eval " + arguments);
  }
  void expect(int code, const std::string& said,
              const std::string& arguments = "truth.json found.json") const {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(said), std::string::npos) << outcome.err;
  }

  // Two categories with one object each, of which the first is found.
  json truth_ = json::parse(R"({"images": [{"id": 1, "width": 200, "height": 100}],
    "categories": [{"id": 7, "name": "cat"}, {"id": 2, "name": "dog"}],
    "annotations": [
      {"id": 1, "image_id": 1, "category_id": 7, "bbox": [0, 0, 50, 50], "area": 2500,
       "iscrowd": 0, "segmentation": [[0, 0, 50, 0, 50, 50, 0, 50]]},
      {"id": 2, "image_id": 1, "category_id": 2, "bbox": [100, 0, 50, 50], "area": 2500,
       "iscrowd": 0, "segmentation": [[100, 0, 150, 0, 150, 50, 100, 50]]}]})");
  TemporaryFolder folder_;
};

TEST_F(CocoEvalCommand, PrintsTheTwelveNumbers) {
  for (const std::string type : {"bbox", "segm"}) {
    const Outcome outcome = run("truth.json found.json --per_class --json --type " + type);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const json result = json::parse(outcome.out);
    ASSERT_EQ(result.at("stats").size(), 12u);
    EXPECT_EQ(result.at("type"), type);
    EXPECT_NEAR(result.at("AP").get<double>(), 0.5, 1e-12);
    EXPECT_EQ(result.at("APs"), -1);
    ASSERT_EQ(result.at("per_class").size(), 2u);  // by id
    EXPECT_EQ(result.at("per_class")[0].at("name"), "dog");
    EXPECT_EQ(result.at("per_class")[0].at("AP"), 0);
    EXPECT_NEAR(result.at("per_class")[1].at("AP50").get<double>(), 1, 1e-12);
    EXPECT_NE(outcome.err.find("maxDets=100 ] = 0.500"), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("categories that the truth does not list: 1"), std::string::npos);
  }
  const json agnostic = json::parse(run("truth.json found.json --class_agnostic --json").out);
  EXPECT_NEAR(agnostic.at("AP").get<double>(), 51. / 101, 1e-12);
}

TEST_F(CocoEvalCommand, SaysWhatIsDoubtful) {
  truth_["annotations"][0]["id"] = 0;
  truth_["annotations"][1]["bbox"][2] = 150;
  write(truth_);
  expect(0, "annotation 0 counts here like any other");
  expect(0, "beyond their image by more than a pixel: 1 (e.g. annotation 2)");
  for (json& annotation : truth_["annotations"]) annotation["iscrowd"] = 1;
  write(truth_);
  expect(0, "all annotations are crowds");
}

TEST_F(CocoEvalCommand, BadInput) {
  expect(2, "expected two files", "truth.json");
  expect(2, "threads", "truth.json found.json --threads -1");
  expect(2, "type", "truth.json found.json --type keypoints");
  expect(3, "nowhere.json", "nowhere.json found.json");
  expect(3, "is a list, as detections are", "found.json truth.json");
  expect(3, "is no list; expected detections", "truth.json truth.json");
  truth_["annotations"][1].erase("segmentation");
  write(truth_);
  expect(3, "annotation 2: there is no 'segmentation' to evaluate masks with",
         "truth.json found.json --type segm");
  truth_["images"][0].erase("width");
  write(truth_);
  expect(3, "image 1 has no 'width' and 'height'", "truth.json found.json --type segm");
  truth_["images"][0]["id"] = 5;
  write(truth_);
  expect(3, "detections[0]: its image 1 is not among those of");
  truth_["annotations"][0] = {{"image_id", 5}, {"file_name", "a.png"}, {"segments_info", {{}}}};
  write(truth_);
  expect(3, "panoptic");
}

}  // namespace
}  // namespace sgmae
