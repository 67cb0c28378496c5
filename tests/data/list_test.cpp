// Oracle: the layout itself.
#include <gtest/gtest.h>

#include "folder.h"

namespace sgmae {
namespace {

TEST(OpenSource, ListWithoutLabels) {
  Folder folder;
  folder.image("images/cat/my photo.png");
  folder.image("images/bee/2.png");
  folder.write("train.txt", "cat/my photo.png\r\n\n  bee/2.png  \n");
  folder.write("test.txt", "bee/2.png");
  for (const std::string& path : {folder.path("train.txt"), folder.path()}) {
    const auto source = open_source(path);
    EXPECT_EQ(names_in(*source, folder), (Names{"images/cat/my photo.png", "images/bee/2.png"}));
    EXPECT_EQ(source->labels(), (Ids{1, 0}));
    EXPECT_EQ(source->class_names(), (Names{"bee", "cat"}));
    EXPECT_EQ(open_source(path, "val")->labels(), (Ids{0}));
  }
}

TEST(OpenSource, ListWithLabels) {
  Folder folder;
  folder.image("a b.png");
  folder.image("c.png");
  folder.write("numbers.txt", "a b.png 3\nc.png\t0\n");
  const auto numbers = open_source(folder.path("numbers.txt"));
  EXPECT_EQ(numbers->labels(), (Ids{3, 0}));
  EXPECT_EQ(numbers->class_names(), (Names{"0", "1", "2", "3"}));
  folder.write("words.txt", "a b.png wasp\nc.png ant\n");
  const auto words = open_source(folder.path("words.txt"));
  EXPECT_EQ(names_in(*words, folder), (Names{"a b.png", "c.png"}));
  EXPECT_EQ(words->labels(), (Ids{1, 0}));
}

TEST(OpenSource, ListWithRoot) {
  Folder folder;
  folder.image("elsewhere/x/1.png");
  folder.write("lists/all.txt", "x/1.png\n");
  const auto why = error_of(ExitCode::data, [&] { open_source(folder.path("lists/all.txt")); });
  EXPECT_NE(why.find("--data_root"), std::string::npos);
  const auto source = open_source(folder.path("lists/all.txt"), "train", folder.path("elsewhere"));
  EXPECT_EQ(names_in(*source, folder), (Names{"elsewhere/x/1.png"}));
}

}  // namespace
}  // namespace sgmae
