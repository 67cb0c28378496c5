#include "sgmae/study/study_data.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"

namespace sgmae {
namespace {

StudyFile study_of(const OptionTexts& options, const OptionTexts& variant = {}) {
  StudyFile study;
  study.where = "study.toml";
  study.recipe = "tiny";
  study.options = options;
  study.variants = {{"a", {}}, {"b", variant}};
  return study;
}

const std::string recipe = "[data]\ndata_path = \"of the recipe\"\nlabel_key = \"cls\"\n";

TEST(StudyData, CommandLineGoesToTrainings) {
  StudyFile study = study_of({{"image_key", "left.png"}, {"epochs", "3"}});
  LabelledData data;
  data.data_path = "shards";
  data.data_format.kind = DataFormat::tar;
  data.data_format.image_key = "right.png";
  data.data_format.stored.pages = Pages::channels;
  data.data_format.nodata = "-9999";
  data.num_workers = 7;
  share_data(study, recipe, data);
  const PretrainOptions training = cell_options(study, study.variants[1], 0, recipe);
  EXPECT_EQ(training.data_path, "shards");
  EXPECT_EQ(training.data_format, data.data_format);
  EXPECT_EQ(data.data_format.kind, DataFormat::tar);
  EXPECT_EQ(data.data_format.image_key, "right.png");
  EXPECT_EQ(data.data_format.label_key, "cls");
  EXPECT_EQ(data.num_workers, 7);
  EXPECT_NE(training.num_workers, 7);
}

TEST(StudyData, StudyGoesToTests) {
  StudyFile study = study_of({{"image_key", "left.png"},
                              {"values", "stored"},
                              {"array_axes", "chw"},
                              {"nodata", "0"},
                              {"data_root", "images"},
                              {"num_workers", "9"}});
  LabelledData data;
  share_data(study, recipe, data);
  EXPECT_EQ(data.data_path, "of the recipe");
  EXPECT_EQ(data.data_root, "images");
  EXPECT_EQ(data.num_workers, LabelledData().num_workers);
  EXPECT_EQ(data.data_format, cell_options(study, study.variants[0], 0, recipe).data_format);
  EXPECT_EQ(data.data_format.values, DataFormat::as_stored);
  EXPECT_EQ(data.data_format.nodata, "0");
}

TEST(StudyData, RefusesVariantsThatReadInAnotherWay) {
  LabelledData data;
  StudyFile study = study_of({}, {{"image_key", "left.png"}});
  const std::string said = error_of(ExitCode::usage, [&] { share_data(study, recipe, data); });
  EXPECT_NE(said.find("b reads images in another way than the tests: image_key is \"left.png\""),
            std::string::npos)
      << said;
  study = study_of({}, {{"data_path", "others"}, {"norm_pix_loss", "true"}});
  share_data(study, recipe, data);
  EXPECT_EQ(data.data_path, "of the recipe");
}

}  // namespace
}  // namespace sgmae
