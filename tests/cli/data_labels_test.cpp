// sgmae data on images with label maps, run as a user runs it. Oracle: pixels counted by hand.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sgmae/image/decode.h"
#include "tests/data/segmented.h"
#include "tests/support/program.h"

namespace sgmae {
namespace {

class DataLabels : public testing::Test {
 protected:
  void SetUp() override {
    at::set_num_threads(1);  // run_program_in
    for (const char* name : {"a", "b", "c"}) folder_.image(str("d/images/train/", name, ".png"));
    write_values(folder_, "d/labels/train/a.png", {0, 1, 1, 2});
    write_values(folder_, "d/labels/train/b.png", {1, 255});
    write_values(folder_, "d/labels/train/c.png", {3});
    folder_.write("d/classes.txt", "ground\ntree\nsky\nroad\ncar\n");
  }
  Outcome run(const std::string& arguments) const {
    return run_program_in(folder_.path(), arguments);
  }

  const Folder folder_;
};

TEST_F(DataLabels, Stats) {
  const Outcome stats = run("data stats d --pictures pictures --json");
  ASSERT_EQ(stats.code, 0) << stats.err;
  const auto said = nlohmann::json::parse(stats.out);
  EXPECT_EQ(said["images"], 3);
  const auto& labels = said["labels"];
  EXPECT_EQ(labels["label_format"], "image and label folders");
  EXPECT_EQ(labels["pixels"], 360);
  EXPECT_EQ(labels["unlabelled_pixels"], 60);
  EXPECT_EQ(labels["classes_without_pixels"], 1);
  EXPECT_EQ(labels["classes"][1]["name"], "tree");
  EXPECT_EQ(labels["classes"][1]["pixels"], 120);
  EXPECT_EQ(labels["pictures"], 3);
  EXPECT_NE(stats.err.find("road: 40.00% of labelled pixels, in 1 images"), std::string::npos)
      << stats.err;
  EXPECT_NE(stats.err.find("the largest value is 3, 0 occurs, 255 occurs; taken for 5 classes as"),
            std::string::npos);
  const Image picture =
      decode_image(read_file(folder_.path("pictures/0_a.jpg"), ExitCode::data, 1 << 24), 3);
  EXPECT_EQ(picture.width, 2 * 640 + 8);
}

TEST_F(DataLabels, Verify) {
  EXPECT_EQ(run("data verify d").code, 0);
  const Outcome above = run("data verify d --classes 3 --json");
  EXPECT_EQ(above.code, 3);
  const auto said = nlohmann::json::parse(above.out)["labels"];
  EXPECT_EQ(said["unusable_count"], 1);
  EXPECT_EQ(said["values_above_classes"]["3"], 120);
  EXPECT_NE(above.err.find("c.png has pixels of value 3"), std::string::npos) << above.err;
  EXPECT_NE(above.err.find("the labels of 1 image of d cannot be used"), std::string::npos);
  EXPECT_EQ(run("data stats d --classes 3").code, 0);
  write_labels(folder_, "d/labels/train/b.png", 5, 5, [](int, int) { return 0; });
  const Outcome size = run("data verify d");
  EXPECT_EQ(size.code, 3);
  EXPECT_NE(size.err.find("is 12x10, its labels are 5x5"), std::string::npos) << size.err;
}

TEST_F(DataLabels, WhatIsLookedAt) {
  EXPECT_EQ(run("data stats d --annotation_format coco --label_format folders").code, 2);
  EXPECT_EQ(run("data stats d --classes 1").code, 2);
  EXPECT_EQ(run("data stats d --label_format ade20k").code, 3);
  EXPECT_EQ(run("data stats d --label_format maps").code, 2);
  // The same images as images alone, or with objects where these are marked too.
  const Outcome plain = run("data stats d --data_format imagefolder --json");
  ASSERT_EQ(plain.code, 0) << plain.err;
  EXPECT_FALSE(nlohmann::json::parse(plain.out).contains("labels"));
  folder_.write("d/labels/train/a.txt", "0 0.5 0.5 1 1\n");
  const Outcome objects = run("data stats d --json");
  ASSERT_EQ(objects.code, 0) << objects.err;
  EXPECT_TRUE(nlohmann::json::parse(objects.out).contains("objects"));
  EXPECT_NE(objects.err.find("d holds label maps too; look at them with --label_format"),
            std::string::npos)
      << objects.err;
  const Outcome labels = run("data stats d --label_format folders --json");
  ASSERT_EQ(labels.code, 0) << labels.err;
  EXPECT_TRUE(nlohmann::json::parse(labels.out).contains("labels"));
}

}  // namespace
}  // namespace sgmae
