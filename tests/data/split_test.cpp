// Oracle: layouts as people have them; which part MAE's and torchvision's scripts read of each.
#include "sgmae/data/split.h"

#include <gtest/gtest.h>

#include "folder.h"

namespace sgmae {
namespace {

std::string part(const Folder& folder, const std::string& split) {
  const auto found = Parts(folder.path()).part(split);
  return found ? found->filename().string() : "";
}

TEST(Parts, SpellingsInAnyCase) {
  for (const auto& [training, evaluation] :
       std::vector<std::pair<std::string, std::string>>{{"train", "val"},
                                                        {"Train", "Test"},
                                                        {"TRAIN", "VALID"},
                                                        {"Training", "Testing"},
                                                        {"trainval", "test"},
                                                        {"training", "validation"}}) {
    Folder folder;
    folder.image(training + "/cat/1.png");
    folder.image(evaluation + "/cat/1.png");
    folder.image("docs/figure.png");
    folder.image("other/cat/1.png");
    EXPECT_EQ(part(folder, "train"), training);
    EXPECT_EQ(part(folder, "val"), evaluation);
    EXPECT_EQ(part(folder, "test"), evaluation);
    EXPECT_NE(Parts(folder.path()).beside(folder.path(training)).find("docs/"), std::string::npos);
  }
}

TEST(Parts, TheNearestNameFirst) {
  Folder folder;
  for (const char* name : {"train", "trainval", "Train", "val", "test"})
    folder.image(std::string(name) + "/cat/1.png");
  EXPECT_EQ(part(folder, "train"), "train");
  EXPECT_EQ(part(folder, "val"), "val");
  EXPECT_EQ(part(folder, "test"), "test");
}

TEST(Parts, OneAlone) {
  Folder train;  // as MAE's script reads it
  train.image("train/cat/1.png");
  train.image("docs/1.png");
  EXPECT_EQ(part(train, "train"), "train");
  EXPECT_EQ(part(train, "val"), "");
  Folder flat;
  flat.image("train/1.png");
  flat.write("docs/readme.txt", "");
  EXPECT_EQ(part(flat, "train"), "train");
  Folder val;
  val.image("val/cat/1.png");
  val.write("docs/readme.txt", "");
  EXPECT_EQ(part(val, "val"), "val");
  EXPECT_EQ(part(val, "train"), "");
  EXPECT_TRUE(Parts(val.path()).exist());
}

TEST(Parts, YearsAndAFolderOfImages) {
  Folder coco;
  coco.image("train2017/1.png");
  coco.image("val2017/1.png");
  coco.image("annotations/1.png");
  EXPECT_EQ(part(coco, "train"), "train2017");
  EXPECT_EQ(part(coco, "val"), "val2017");
  Folder ade;
  ade.image("images/training/a/1.png");
  ade.image("images/validation/a/1.png");
  ade.image("annotations/training/1.png");
  EXPECT_EQ(Parts(ade.path()).part("train"), ade.path("images/training"));
  Folder numbered;
  numbered.image("train1/1.png");
  numbered.image("train2/1.png");
  EXPECT_FALSE(Parts(numbered.path()).exist());
  Folder plain;
  plain.image("images/a/1.png");
  EXPECT_FALSE(Parts(plain.path()).exist());
}

// CIFAR-100 has a class "train".
TEST(Parts, AClassOfThatName) {
  for (const char* name : {"train", "Test"}) {
    Folder folder;
    folder.image(std::string(name) + "/1.png");
    folder.image("bus/1.png");
    EXPECT_FALSE(Parts(folder.path()).exist());
    EXPECT_EQ(Parts(folder.path()).class_called_so(), name);
  }
}

TEST(Says, WholeWordsInAnyCase) {
  for (const char* yes : {"train-0.tar", "x_Train_0.tar", "ILSVRC2012_img_train.tar", "TRAIN0.tar"})
    EXPECT_TRUE(says(yes, "train")) << yes;
  for (const char* no : {"training-0.tar", "trainval-0.tar", "strain.tar", "x.tar"})
    EXPECT_FALSE(says(no, "train")) << no;
}

TEST(FileOfSplit, AnyCase) {
  Folder folder;
  folder.touch("TEST.txt");
  folder.touch("Valid.txt");
  EXPECT_EQ(file_of_split(folder.path(), "val", ".txt"), folder.path("Valid.txt"));
  EXPECT_EQ(file_of_split(folder.path(), "test", ".txt"), folder.path("TEST.txt"));
  EXPECT_FALSE(file_of_split(folder.path(), "train", ".txt").has_value());
}

}  // namespace
}  // namespace sgmae
