// Oracles: closed forms; linprobe_test and finetune_test for whole runs.
#include "sgmae/tasks/classifier.h"

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/data/folder.h"
#include "tests/eval/striped_data.h"

namespace sgmae {
namespace {

TEST(ClassifierRun, CrossEntropyIsTheNegativeLogOfTheTrueShare) {
  // Equal scores give each of 4 classes a quarter; a lead of log 3 over one rival gives 3 quarters.
  EXPECT_NEAR(cross_entropy(at::zeros({2, 4}), {0, 3}), 2 * std::log(4.0), 1e-12);
  const at::Tensor lead = at::tensor({std::log(3.0f), 0.0f}).view({1, 2});
  EXPECT_NEAR(cross_entropy(lead, {0}), -std::log(0.75), 1e-6);  // scores are fp32
  EXPECT_NEAR(cross_entropy(lead, {1}), -std::log(0.25), 1e-6);
}

TEST(ClassifierRun, ANameMustFitTheEncoder) {
  const VitConfig base = encoder_config(named_config("vit_base_patch16"));
  EXPECT_NO_THROW(check_model_name("", base, "x"));
  EXPECT_NO_THROW(check_model_name("mae_vit_base_patch16", base, "x"));
  EXPECT_NE(error_of(ExitCode::usage, [&] { check_model_name("vit_large_patch16", base, "x"); })
                .find("x is not a vit_large_patch16: its encoder is 768 x 12 with patch 16"),
            std::string::npos);
}

TEST(ClassifierRun, OpensItsDataAndCountsWhatIsRight) {
  const Folder folder;
  striped::write_part(folder.path(), "train", 60, true);
  striped::write_part(folder.path(), "t10k", 30, true);
  LabelledData data;
  data.data_path = folder.path();
  const LabelledSources sources = open_classes(data, 0);
  EXPECT_EQ(open_classes(data, sources.classes).classes, sources.classes);
  error_of(ExitCode::usage, [&] { open_classes(data, sources.classes + 1); });

  ClassificationCounts counts(sources.classes);
  counts.add(at::zeros({2, sources.classes}), {0, 1});  // equal scores: the lower class
  const auto entries = score_entries(sources, {counts, 0.25, 28});
  EXPECT_EQ(entries["train_images"], 60);
  EXPECT_EQ(entries["test_images"], 2);  // that were tested
  EXPECT_EQ(entries["unreadable_test_images"], 28);
  EXPECT_EQ(entries["acc1"], 0.5);
  EXPECT_EQ(test_log_entries({counts, 0.25, 0})["test_acc1"], 50.0);
}

}  // namespace
}  // namespace sgmae
