// Oracle: names worked out by hand; older ones by MAE's rule, which counts epochs from 0.
#include "sgmae/checkpoint/checkpoint_name.h"

#include <gtest/gtest.h>

#include <map>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

TEST(CheckpointName, CountsEpochsFinished) {
  EXPECT_EQ((CheckpointName{20, 0}.file()), "epoch-0020.safetensors");
  EXPECT_EQ((CheckpointName{20, 130}.file()), "epoch-0020-step-130.safetensors");
  EXPECT_EQ((CheckpointName{0, 0}.file()), "epoch-0000.safetensors");
  EXPECT_EQ((CheckpointName{12345, 0}.file()), "epoch-12345.safetensors");
  EXPECT_EQ((CheckpointName{20, 130}.state()), "epoch-0020-step-130.state.safetensors");
  for (const CheckpointName name : {CheckpointName{20, 0}, {20, 130}, {0, 0}, {0, 5}, {1, 0}}) {
    EXPECT_EQ(parse_checkpoint_name(name.file()), name);
    EXPECT_FALSE(parse_checkpoint_name(name.file())->older);
  }
  for (const char* other :
       {"epoch-0020.state.safetensors", "epoch-.safetensors", "epoch--1.safetensors",
        "model.safetensors", "epoch-1-x.safetensors", "epoch-19.pth", "epoch-1-step-.safetensors",
        "epoch-99999999999999999999.safetensors", "checkpoint-19.state.safetensors",
        "checkpoint--1.safetensors", "checkpoint-19.pth"})
    EXPECT_EQ(parse_checkpoint_name(other), std::nullopt) << other;
}

TEST(CheckpointName, OlderOnesCountAsMaeDoes) {
  for (const auto& [file, place] :
       std::map<std::string, CheckpointName>{{"checkpoint-19.safetensors", {20, 0}},
                                             {"checkpoint-20-130.safetensors", {20, 130}},
                                             {"checkpoint-0-0.safetensors", {0, 0}}}) {
    const auto name = parse_checkpoint_name(file);
    ASSERT_TRUE(name.has_value()) << file;
    EXPECT_EQ(*name, place);
    EXPECT_EQ(name->file(), file) << "it is found again";
  }
}

class CheckpointFolder : public testing::Test {
 protected:
  CheckpointFolder() { fs::create_directories(root_ / "checkpoints"); }
  const TemporaryFolder folder_;
  const fs::path root_ = folder_.root();
};

TEST_F(CheckpointFolder, ListIsInOrderOfTraining) {
  for (const char* name :
       {"checkpoint-9.safetensors", "epoch-0011.safetensors", "epoch-0010-step-5.safetensors",
        "epoch-0010-step-5.state.safetensors", "epoch-0000.safetensors", "notes.txt"})
    write_file(root_ / name, "x");
  const std::vector<CheckpointName> expected{{0, 0}, {10, 0}, {10, 5}, {11, 0}};
  EXPECT_EQ(list_checkpoints(root_, false), expected);
  EXPECT_EQ(list_checkpoints(root_, true), (std::vector<CheckpointName>{{10, 5}}));
  EXPECT_TRUE(list_checkpoints(root_ / "absent", false).empty());
  EXPECT_EQ(checkpoint_at(root_, {10}), root_ / "checkpoint-9.safetensors");
  EXPECT_EQ(checkpoint_at(root_, {11}), root_ / "epoch-0011.safetensors");
  EXPECT_EQ(checkpoint_at(root_, {12}), root_ / "epoch-0012.safetensors") << "would be there";
}

TEST_F(CheckpointFolder, AModelIsTheNewestOfItsFolderOrTheFileItself) {
  EXPECT_EQ(find_model_file(root_), root_) << "nothing there: for the caller to refuse";
  EXPECT_EQ(find_model_file(root_ / "absent"), root_ / "absent");
  write_file(root_ / "checkpoint-3.safetensors", "x");
  EXPECT_EQ(find_model_file(root_), root_ / "checkpoint-3.safetensors");
  write_file(root_ / "checkpoints" / "checkpoint-9.safetensors", "x");
  write_file(root_ / "checkpoints" / "epoch-0010-step-4.safetensors", "x");
  EXPECT_EQ(find_model_file(root_), root_ / "checkpoints" / "epoch-0010-step-4.safetensors")
      << "a run folder's checkpoints come before what lies beside them";
  EXPECT_EQ(find_model_file(root_ / "checkpoint-3.safetensors"),
            root_ / "checkpoint-3.safetensors");
}

TEST_F(CheckpointFolder, OfABestAndALastModelTheBestIsTaken) {
  write_file(root_ / "checkpoint-last.safetensors", "x");
  EXPECT_EQ(find_model_file(root_), root_ / "checkpoint-last.safetensors");
  write_file(root_ / "checkpoint-best.safetensors", "x");
  EXPECT_EQ(find_model_file(root_), root_ / "checkpoint-best.safetensors");
}

}  // namespace
}  // namespace sgmae
