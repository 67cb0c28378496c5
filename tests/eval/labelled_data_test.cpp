// Oracle: small data sets whose faults are known.
#include "sgmae/eval/labelled_data.h"

#include <gtest/gtest.h>

#include "sgmae/base/error.h"
#include "sgmae/base/log.h"
#include "tests/data/folder.h"

namespace sgmae {
namespace {

class LabelledDataTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_quiet(true);
    for (const std::string part : {"train", "test"})
      for (const std::string image : {"/ant/1.png", "/ant/2.png", "/bee/1.png"})
        folder_.image(part + image);
    data_.data_path = folder_.path();
  }
  std::string refusal(ExitCode code) const {
    return error_of(code, [&] { open_labelled(data_); });
  }

  Folder folder_;
  LabelledData data_;
};

TEST_F(LabelledDataTest, OpensBothPartsWithOneNumbering) {
  std::filesystem::remove_all(folder_.path("test/ant"));  // bee alone would be class 0
  const LabelledSources sources = open_labelled(data_);
  EXPECT_EQ(sources.classes, 2);
  EXPECT_EQ(sources.train->size(), 3);
  EXPECT_EQ(sources.test->labels(), (std::vector<std::int64_t>{1}));
}

TEST_F(LabelledDataTest, TakesListsInPlaceOfSplits) {
  folder_.write("a.txt", "train/ant/1.png ant\ntrain/bee/1.png bee\n");
  folder_.write("b.txt", "test/bee/1.png bee\n");
  data_.data_path.clear();
  data_.train_list = folder_.path("a.txt");
  data_.test_list = folder_.path("b.txt");
  const LabelledSources sources = open_labelled(data_);
  EXPECT_EQ(sources.train->size(), 2);
  EXPECT_EQ(sources.test->labels(), (std::vector<std::int64_t>{1}));
}

TEST_F(LabelledDataTest, RefusesWhatCannotBeLearned) {
  folder_.image("test/cat/1.png");
  EXPECT_NE(refusal(ExitCode::data).find("cat"), std::string::npos);
  std::filesystem::remove_all(folder_.path("test/cat"));
  folder_.image("train/loose.png");  // beside the class folders
  EXPECT_NE(refusal(ExitCode::data).find("loose.png"), std::string::npos);
  std::filesystem::remove(folder_.path("train/loose.png"));
  std::filesystem::remove_all(folder_.path("train/bee"));
  std::filesystem::remove_all(folder_.path("test/bee"));
  EXPECT_NE(refusal(ExitCode::data).find("one class"), std::string::npos);
  data_.data_path.clear();
  EXPECT_NE(refusal(ExitCode::usage).find("--data_path"), std::string::npos);
}

// Numbered classes have no names to compare: 1 is a gap of the training part.
TEST_F(LabelledDataTest, RefusesANumberThatTrainingLacks) {
  folder_.write("train.txt", "train/ant/1.png 0\ntrain/bee/1.png 2\n");
  folder_.write("test.txt", "test/ant/1.png 0\ntest/bee/1.png 1\n");
  data_.train_list = folder_.path("train.txt");
  data_.test_list = folder_.path("test.txt");
  EXPECT_NE(refusal(ExitCode::data).find("no training image has"), std::string::npos);
}

TEST_F(LabelledDataTest, SaysThatThereIsNoTrainingPart) {
  std::filesystem::remove_all(folder_.path("train"));
  for (const std::string slash : {"", "/"}) {
    data_.data_path = folder_.path() + slash;
    const std::string why = refusal(ExitCode::data);
    EXPECT_NE(why.find("no part for training (train/)"), std::string::npos) << why;
    EXPECT_EQ(why.find("'ant'"), std::string::npos) << why;
  }
}

// A trained classifier needs no training images; the test part lacks one of its classes.
TEST_F(LabelledDataTest, TestsByTheClassifiersOwnClasses) {
  const auto tested = [&](std::int64_t count, std::vector<std::string> names) {
    return open_tested(data_, {"c.safetensors", count, std::move(names)});
  };
  for (const bool with_training : {true, false}) {
    if (!with_training) std::filesystem::remove_all(folder_.path("train"));
    const LabelledSources sources = tested(3, {"aardvark", "ant", "bee"});
    EXPECT_EQ(sources.test->labels(), (std::vector<std::int64_t>{1, 1, 2}));
    EXPECT_EQ(sources.classes, 3);
    EXPECT_EQ(sources.class_names[2], "bee");
    EXPECT_NE(error_of(ExitCode::checkpoint,
                       [&] {
                         tested(2, {"ant", "cat"});
                       })
                  .find("'bee'"),
              std::string::npos);
  }
  // Without names the test part numbers its own, when there are as many.
  const LabelledSources own = tested(2, {});
  EXPECT_EQ(own.test->labels(), (std::vector<std::int64_t>{0, 0, 1}));
  EXPECT_EQ(own.train, nullptr);
  EXPECT_NE(error_of(ExitCode::data, [&] { tested(3, {}); }).find("training part"),
            std::string::npos);
}

TEST_F(LabelledDataTest, TestsAsTheTrainingPartNumbersWhereTheClassifierHasNoNames) {
  std::filesystem::remove_all(folder_.path("test/ant"));
  const LabelledSources sources = open_tested(data_, {"c.safetensors", 2, {}});
  EXPECT_EQ(sources.test->labels(), (std::vector<std::int64_t>{1}));
  ASSERT_NE(sources.train, nullptr);
  EXPECT_NE(error_of(ExitCode::checkpoint,
                     [&] {
                       open_tested(data_, {"c.safetensors", 5, {}});
                     })
                .find("has 5 classes, and the data set has 2"),
            std::string::npos);
}

TEST_F(LabelledDataTest, EvaluationLooksAtWholeImagesInOrder) {
  VitConfig config;
  config.height = config.width = 16;
  config.patch_size = 8;
  const LabelledSources sources = open_labelled(data_);
  const auto options = [&] {
    return evaluation_loader(data_, *sources.train, config, default_normalisation(3), 2);
  };
  EXPECT_EQ(options().fit, Fit::automatic);
  EXPECT_FALSE(options().shuffle);
  EXPECT_FALSE(options().drop_last);
  EXPECT_EQ(options().unreadable, Unreadable::leave_out);
  data_.fit = Fit::centre_crop;
  EXPECT_EQ(options().fit, Fit::centre_crop);
  EXPECT_THROW(evaluation_loader(data_, *sources.train, config, {}, 0), Error);
}

}  // namespace
}  // namespace sgmae
