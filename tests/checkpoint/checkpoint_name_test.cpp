// Oracle: names worked out by hand from MAE's rule, which counts epochs from 0.
#include "sgmae/checkpoint/checkpoint_name.h"

#include <gtest/gtest.h>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

TEST(CheckpointName, CountsAsMaeDoes) {
  EXPECT_EQ((CheckpointName{20, 0}.file()), "checkpoint-19.safetensors");
  EXPECT_EQ((CheckpointName{20, 130}.file()), "checkpoint-20-130.safetensors");
  EXPECT_EQ((CheckpointName{0, 0}.file()), "checkpoint-0-0.safetensors");
  EXPECT_EQ((CheckpointName{20, 130}.state()), "checkpoint-20-130.state.safetensors");
  for (const CheckpointName name : {CheckpointName{20, 0}, {20, 130}, {0, 0}, {0, 5}, {1, 0}})
    EXPECT_EQ(parse_checkpoint_name(name.file()), name);
  for (const char* other :
       {"checkpoint-19.state.safetensors", "checkpoint-.safetensors", "checkpoint--1.safetensors",
        "model.safetensors", "checkpoint-1-x.safetensors", "checkpoint-19.pth",
        "checkpoint-99999999999999999999.safetensors"})
    EXPECT_EQ(parse_checkpoint_name(other), std::nullopt) << other;
}

class CheckpointFolder : public testing::Test {
 protected:
  CheckpointFolder() { fs::create_directories(root_ / "checkpoints"); }
  const TemporaryFolder folder_;
  const fs::path root_ = folder_.root();
};

TEST_F(CheckpointFolder, ListIsInOrderOfTraining) {
  for (const char* name :
       {"checkpoint-9.safetensors", "checkpoint-10.safetensors", "checkpoint-10-5.safetensors",
        "checkpoint-10-5.state.safetensors", "checkpoint-0-0.safetensors", "notes.txt"})
    write_file(root_ / name, "x");
  const std::vector<CheckpointName> expected{{0, 0}, {10, 0}, {10, 5}, {11, 0}};
  EXPECT_EQ(list_checkpoints(root_, false), expected);
  EXPECT_EQ(list_checkpoints(root_, true), (std::vector<CheckpointName>{{10, 5}}));
  EXPECT_TRUE(list_checkpoints(root_ / "absent", false).empty());
}

TEST_F(CheckpointFolder, AModelIsTheNewestOfItsFolderOrTheFileItself) {
  EXPECT_EQ(find_model_file(root_), root_) << "nothing there: for the caller to refuse";
  EXPECT_EQ(find_model_file(root_ / "absent"), root_ / "absent");
  write_file(root_ / "checkpoint-3.safetensors", "x");
  EXPECT_EQ(find_model_file(root_), root_ / "checkpoint-3.safetensors");
  write_file(root_ / "checkpoints" / "checkpoint-9.safetensors", "x");
  write_file(root_ / "checkpoints" / "checkpoint-10-4.safetensors", "x");
  EXPECT_EQ(find_model_file(root_), root_ / "checkpoints" / "checkpoint-10-4.safetensors")
      << "a run folder's checkpoints come before what lies beside them";
  EXPECT_EQ(find_model_file(root_ / "checkpoint-3.safetensors"),
            root_ / "checkpoint-3.safetensors");
}

}  // namespace
}  // namespace sgmae
