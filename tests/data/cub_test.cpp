// Oracle: the data set's README, its layout written out by hand.
#include <gtest/gtest.h>

#include "folder.h"

namespace sgmae {
namespace {

TEST(Cub, ReadsItsTables) {
  Folder folder;
  const std::string at = "CUB_200_2011/";
  folder.write(at + "images.txt", "1 001.A/a.png\n2 001.A/b.png\n3 002.B/c d.png\n");
  folder.write(at + "image_class_labels.txt",
               "\xef\xbb\xbf"
               "1\t1\r\n2 1.0\n3 2\n");
  folder.write(at + "train_test_split.txt", "1 1\n2 0\n3 1\n");
  folder.write(at + "classes.txt", "1 001.A\n2 002.B\n");
  folder.image(at + "images/001.A/a.png", 1);
  folder.image(at + "images/002.B/c d.png", 3);
  for (const std::string& path : {folder.path(), folder.path(at)}) {
    const auto train = open_source(path), test = open_source(path, "test");
    EXPECT_EQ(train->labels(), (Ids{0, 1}));
    EXPECT_EQ(train->class_names(), (Names{"001.A", "002.B"}));
    EXPECT_EQ(red_of(*train, 1), 3);
    EXPECT_EQ(test->labels(), Ids{0});
    EXPECT_EQ(names_in(*test, folder), Names{"CUB_200_2011/images/001.A/b.png"});
  }
  const auto why = [&](const std::string& file, const std::string& contents) {
    folder.write(at + file, contents);
    return error_of(ExitCode::data, [&] { open_source(folder.path()); });
  };
  EXPECT_NE(why("train_test_split.txt", "1 1\n2 1\n").find("no line for number 3"),
            std::string::npos);
  EXPECT_NE(why("train_test_split.txt", "1 0\n2 0\n3 0\n").find("no image for 'train'"),
            std::string::npos);
  EXPECT_NE(why("images.txt", "one 001.A/a.png\n").find("line 1"), std::string::npos);
  folder.write(at + "images.txt", "1 001.A/a.png\n");
  folder.write(at + "train_test_split.txt", "1 1\n");
  EXPECT_NE(why("image_class_labels.txt", "1 9\n").find("the class 9"), std::string::npos);
}

}  // namespace
}  // namespace sgmae
