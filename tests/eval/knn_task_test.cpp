// Oracle: a data set that pixels alone decide, so that any encoder which keeps images apart solves
// it.
#include "sgmae/eval/knn_task.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "sgmae/base/log.h"
#include "sgmae/nn/mae.h"
#include "tests/eval/striped_data.h"
#include "tests/support/temporary_folder.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

class KnnTaskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_quiet(true);
    striped::write_part(root_, "train", 60, true);
    striped::write_part(root_, "t10k", 30, true);
    task_.data.data_path = root_.string();
    task_.batch_size = 7;  // does not divide the sets
    task_.knn.k = 5;
  }

  KnnScore run() const {
    return run_knn(Mae(tiny_mae(), 1).encoder(), default_normalisation(1), task_);
  }
  ExitCode refusal() const {
    try {
      run();
    } catch (const Error& error) {
      return error.code();
    }
    return ExitCode::done;
  }

  const TemporaryFolder folder_;
  const fs::path root_ = folder_.root();
  KnnTask task_;
};

TEST_F(KnnTaskTest, SolvesWhatPixelsDecide) {
  const KnnScore score = run();
  EXPECT_EQ(score.counts().top1(), 1.0);
  EXPECT_EQ(score.train_images, 60);
  EXPECT_EQ(score.test_images, 30);
  const auto json = to_json(score);
  EXPECT_EQ(json["knn_acc1"], 1.0);
  EXPECT_EQ(json["test"]["per_class"].size(), 3u);
  // Both features, each with the weighted vote of 5 and plain ones of 1, 5, 10, 20.
  ASSERT_EQ(json["table"].size(), 10u);
  EXPECT_EQ(json["table"][0]["features"], "mean");
  EXPECT_EQ(json["table"][0]["k"], 5);
  EXPECT_EQ(json["table"][1]["temperature"], 0.0);
  EXPECT_EQ(json["table"][9]["features"], "cls");
  EXPECT_EQ(json["table"][9]["k"], 20);
}

TEST_F(KnnTaskTest, ShowsTestImagesBesideTheirNeighbours) {
  const Image eight = run().neighbours;
  task_.pictures = 2;
  const Image two = run().neighbours;
  EXPECT_EQ(two.width, eight.width) << "as many neighbours";
  EXPECT_LT(two.height, eight.height / 2);
  task_.pictures = 0;
  EXPECT_TRUE(run().neighbours.pixels.empty());
  task_.pictures = 1000;  // all of the 30
  EXPECT_GT(run().neighbours.height, 3 * eight.height);
}

TEST_F(KnnTaskTest, HasTheNeighboursOfRawPixelsBesideIt) {
  VitConfig config = encoder_config(tiny_mae());
  EXPECT_EQ(pixel_knn_acc1(config, default_normalisation(1), task_), 1.0);
  task_.knn.k = 1000;  // more than there are: all vote
  EXPECT_TRUE(pixel_knn_acc1(config, default_normalisation(1), task_).has_value());
  config.height = config.width = 4096;  // 60 of them take 4 GiB
  EXPECT_EQ(pixel_knn_acc1(config, default_normalisation(1), task_), std::nullopt);
}

TEST_F(KnnTaskTest, ChoosesTheFeaturesOfTheScore) {
  const KnnScore mean = run();
  task_.features = FeatureKind::cls;
  const KnnScore cls = run();
  EXPECT_EQ(mean.chosen, 0u);
  EXPECT_EQ(cls.chosen, 5u);
  EXPECT_EQ(cls.counts(), mean.rows[5].counts);
}

TEST_F(KnnTaskTest, LeavesOutPlainVotesOfMoreThanThereAre) {
  task_.max_train = 10;
  EXPECT_EQ(run().rows.size(), 2u * 4);
}

TEST_F(KnnTaskTest, RefusesUnusableK) {
  task_.plain_k = "1,many";
  EXPECT_EQ(refusal(), ExitCode::usage);
}

TEST_F(KnnTaskTest, LowersKToTheNumberOfImagesAndSaysSo) {
  task_.knn.k = 61;
  testing::internal::CaptureStderr();
  const KnnScore score = run();
  EXPECT_NE(testing::internal::GetCapturedStderr().find("k is 60, not 61"), std::string::npos);
  EXPECT_EQ(score.rows[0].votes.k, 60);
}

TEST_F(KnnTaskTest, RefusesNegativeNumbers) {
  task_.max_train = -1;
  EXPECT_EQ(refusal(), ExitCode::usage);
  task_.max_train = 0;
  task_.knn.temperature = -0.1;
  EXPECT_EQ(refusal(), ExitCode::usage);
  task_.knn.temperature = 0;
  task_.plain_k = "0";
  EXPECT_EQ(refusal(), ExitCode::usage);
}

TEST_F(KnnTaskTest, CanUseFewerTrainingImages) {
  task_.max_train = 20;
  EXPECT_EQ(run().train_images, 20);
}

TEST_F(KnnTaskTest, NeedsDataLabelsAndATestPart) {
  task_.data.data_path.clear();
  EXPECT_EQ(refusal(), ExitCode::usage);
  task_.data.data_path = (root_ / "absent").string();
  EXPECT_EQ(refusal(), ExitCode::data);
  task_.data.data_path = root_.string();
  fs::remove(root_ / "t10k-labels-idx1-ubyte");
  EXPECT_EQ(refusal(), ExitCode::data);
  fs::remove(root_ / "t10k-images-idx3-ubyte");
  EXPECT_EQ(refusal(), ExitCode::data);
}

}  // namespace
}  // namespace sgmae
