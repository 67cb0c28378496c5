// Oracle: a data set that pixels alone decide, so that any encoder which keeps images apart solves
// it.
#include "sgmae/eval/knn_task.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

void append_number(std::string& bytes, std::int64_t value) {
  for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(value >> shift & 255);
}

// IDX images and labels: class 0 horizontal stripes, 1 vertical ones, 2 plain; brightness varies.
void write_part(const fs::path& folder, const std::string& part, int count, bool labels) {
  std::string images{'\0', '\0', '\x08', '\x03'}, classes{'\0', '\0', '\x08', '\x01'};
  for (const int size : {count, 16, 16}) append_number(images, size);
  append_number(classes, count);
  for (int i = 0; i < count; ++i) {
    const int label = i % 3;
    classes += static_cast<char>(label);
    for (int row = 0; row < 16; ++row)
      for (int column = 0; column < 16; ++column) {
        const bool bright = label == 0 ? row % 4 < 2 : label == 1 ? column % 4 < 2 : true;
        images += static_cast<char>(bright ? 150 + i % 100 : 20);
      }
  }
  write_file(folder / (part + "-images-idx3-ubyte"), images);
  if (labels) write_file(folder / (part + "-labels-idx1-ubyte"), classes);
}

class KnnTaskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_quiet(true);
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::temp_directory_path() / str("sgmae-", test->name(), "-", ::getpid());
    fs::create_directories(root_);
    write_part(root_, "train", 60, true);
    write_part(root_, "t10k", 30, true);
    task_.data_path = root_.string();
    task_.batch_size = 7;  // does not divide the sets
    task_.knn.k = 5;
  }
  void TearDown() override { fs::remove_all(root_); }

  KnnScore run() const { return run_knn(Mae(tiny(), 1), default_normalisation(1), task_); }
  ExitCode refusal() const {
    try {
      run();
    } catch (const Error& error) {
      return error.code();
    }
    return ExitCode::done;
  }

  fs::path root_;
  KnnTask task_;
};

TEST_F(KnnTaskTest, SolvesWhatPixelsDecide) {
  const KnnScore score = run();
  EXPECT_EQ(score.result.accuracy, 1.0);
  EXPECT_EQ(score.train_images, 60);
  EXPECT_EQ(score.test_images, 30);
  const auto json = to_json(score);
  EXPECT_EQ(json["knn_acc1"], 1.0);
  EXPECT_EQ(json["per_class"].size(), 3u);
}

TEST_F(KnnTaskTest, CanUseFewerTrainingImages) {
  task_.max_train = 20;
  EXPECT_EQ(run().train_images, 20);
}

TEST_F(KnnTaskTest, NeedsDataLabelsAndATestPart) {
  task_.data_path.clear();
  EXPECT_EQ(refusal(), ExitCode::usage);
  task_.data_path = (root_ / "absent").string();
  EXPECT_EQ(refusal(), ExitCode::data);
  task_.data_path = root_.string();
  fs::remove(root_ / "t10k-labels-idx1-ubyte");
  EXPECT_EQ(refusal(), ExitCode::data);
  fs::remove(root_ / "t10k-images-idx3-ubyte");
  EXPECT_EQ(refusal(), ExitCode::data);
}

}  // namespace
}  // namespace sgmae
