// Oracle: lists small enough to work out by hand; eval/coco_eval_test.cpp holds what is read
// against pycocotools.
#include "sgmae/data/coco_results.h"

#include <gtest/gtest.h>

#include "tests/data/folder.h"

namespace sgmae {
namespace {

struct Files {
  Folder folder;
  CocoFile truth = [this] {
    folder.write("truth.json", R"({"images": [{"id": 5, "width": 4, "height": 2}, {"id": 2}],
      "categories": [{"id": 1, "name": "a"}, {"id": 7, "name": "b"}], "annotations": []})");
    return CocoFile(folder.path("truth.json"));
  }();
  CocoResults open(const std::string& text) const {
    folder.write("found.json", text);
    return CocoResults(folder.path("found.json"), truth);
  }
  std::string why(const std::string& text) const {
    return error_of(ExitCode::data, [&] { open(text); });
  }
};

TEST(CocoResults, AreByImageAndInTheFilesOrder) {
  const Files files;
  const CocoResults results = files.open(
      R"([{"image_id": 2, "category_id": 7, "bbox": [0, 1, 2, 3], "score": 0.5},
          {"image_id": 5, "category_id": 1, "bbox": [4, 5, 6, 7], "score": 1e-3},
          {"image_id": 2.0, "category_id": "1", "bbox": [1, 1, 2, 3], "score": 2,
           "segmentation": {"size": [2, 4], "counts": [8]}},
          {"image_id": 5, "category_id": 2, "bbox": [4, 5, 6, 7], "score": 0.2}])");
  EXPECT_TRUE(results.are_boxes());
  ASSERT_EQ(results.detections().size(), 3u);
  ASSERT_EQ(results.of_image(0).size(), 1u);
  ASSERT_EQ(results.of_image(1).size(), 2u);
  EXPECT_EQ(results.of_image(0)[0].box, (CocoBox{4, 5, 6, 7}));
  EXPECT_EQ(results.of_image(0)[0].score, 1e-3);
  EXPECT_EQ(results.of_image(1)[0].category, 1);
  EXPECT_EQ(results.of_image(1)[1].number, 2u);
  EXPECT_TRUE(results.shape(results.of_image(1)[0]).empty());
  EXPECT_EQ(results.shape(results.of_image(1)[1]).runs.counts, (std::vector<std::uint32_t>{8}));
  ASSERT_EQ(results.left_out().size(), 2u);
  EXPECT_EQ(results.left_out()[0].example, "detections[2]");
  EXPECT_EQ(results.left_out()[1].example, "detections[3], category 2");
}

TEST(CocoResults, MayBeNone) {
  const Files files;
  EXPECT_TRUE(files.open("[]").detections().empty());
}

TEST(CocoResults, TheFirstDecidesWhatAllAre) {
  const Files files;
  const std::string box = R"({"image_id": 5, "category_id": 1, "score": 1, "bbox": [1, 1, 1, 1]})";
  const std::string mask = R"({"image_id": 5, "category_id": 1, "score": 1, "bbox": [],
    "segmentation": {"size": [2, 4], "counts": "08"}})";
  EXPECT_FALSE(files.open("[" + mask + "]").are_boxes());
  EXPECT_EQ(files.why("[" + box + "," + mask + "]").substr(files.folder.path().size()),
            "/found.json: detections[1]: there is no 'bbox', which the first detection has");
  EXPECT_NE(files.why("[" + mask + "," + box + "]").find("no 'segmentation', which the first"),
            std::string::npos);
}

TEST(CocoResults, ErrorsNameDetectionAndField) {
  const Files files;
  const auto says = [&](const std::string& entry, const char* words) {
    const std::string why = files.why(
        R"([{"image_id": 5, "category_id": 1, "score": 1, "bbox": [1, 1, 1, 1]}, )" + entry + "]");
    EXPECT_NE(why.find("found.json: detections[1]: "), std::string::npos) << why;
    EXPECT_NE(why.find(words), std::string::npos) << why;
  };
  says("7", "no JSON object");
  says("{}", "'image_id'");
  says(R"({"image_id": 5})", "'category_id'");
  says(R"({"image_id": 5, "category_id": 1})", "'score'");
  says(R"({"image_id": 5, "category_id": 1, "score": 1})", "neither 'bbox' nor 'segmentation'");
  says(R"({"image_id": 5, "category_id": 1, "score": NaN, "bbox": [1, 1, 1, 1]})", "'score'");
  says(R"({"image_id": 5, "category_id": 1, "score": 1e999, "bbox": [1, 1, 1, 1]})", "'score'");
  says(R"({"image_id": 5, "category_id": 1, "score": 1, "bbox": [1, 1e308, 1, 1]})", "'bbox'");
  says(R"({"image_id": 6, "category_id": 1, "score": 1, "bbox": [1, 1, 1, 1]})",
       "its image 6 is not among those of");
  says(R"({"image_id": 5, "category_id": 1, "score": 1, "bbox": [1, 1, 1, 1],
           "segmentation": {"size": [2, 4], "counts": [7]}})",
       "7 pixels for a mask of 4x2");
  EXPECT_NE(files.why("{}").find("is no list; expected detections"), std::string::npos);
  EXPECT_NE(files.why("[{\"image_id\"").find("damaged"), std::string::npos);
  EXPECT_NE(files.why("").find("damaged"), std::string::npos);
}

}  // namespace
}  // namespace sgmae
