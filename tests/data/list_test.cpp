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

// Any file may be missing, the first as well; that is for whoever reads the images.
TEST(OpenSource, ListWithMissingFiles) {
  Folder folder;
  folder.image("here.png");
  folder.write("a.txt", "gone.png 1\nhere.png 0\n");
  const auto source = open_source(folder.path("a.txt"));
  EXPECT_EQ(source->labels(), (Ids{1, 0}));
  OpenedImage opened;
  error_of(ExitCode::data, [&] { source->open(0, opened); });
  source->open(1, opened);
}

TEST(OpenSource, ListsAsTheyAreExported) {
  Folder folder;
  folder.image("train/cat/1.png");
  folder.image("train/dog/2.png");
  folder.write("train.csv",
               "\xef\xbb\xbf,File Name,Label\r\n0,cat\\1.png,1.0\r\n1,dog\\2.png,-1\r\n");
  const auto source = open_source(folder.path("train.csv"));
  EXPECT_EQ(names_in(*source, folder), (Names{"train/cat/1.png", "train/dog/2.png"}));
  EXPECT_EQ(source->labels(), (Ids{1, -1}));
  EXPECT_EQ(open_source(folder.path())->labels(), (Ids{1, -1}));  // found, as its images are
  DataFormat keys;
  keys.label_key = "label";
  EXPECT_EQ(open_source(folder.path("train.csv"), "train", "", keys)->labels(), (Ids{1, -1}));
  // A table of other things beside train/ is left alone.
  folder.write("train.csv", "id,label\n7,3\n");
  EXPECT_EQ(open_source(folder.path())->class_names(), (Names{"cat", "dog"}));
  // So is a list whose images are elsewhere.
  folder.write("train.txt", "n1/x.png 3\n");
  EXPECT_EQ(open_source(folder.path())->class_names(), (Names{"cat", "dog"}));
}

TEST(OpenSource, ListThatTellsParts) {
  Folder folder;
  for (const char* name : {"x/a", "y/b", "y/c"}) folder.image(str("images/", name, ".png"));
  for (const char* labels : {"", "label,"}) {
    const std::string one = *labels ? "1," : "", two = *labels ? "2," : "";
    folder.write("all.csv", str("path,", labels, "split\nx/a.png,", one, "train\ny/b.png,", two,
                                "test\ny/c.png,", two, "train\n"));
    const auto train = open_source(folder.path("all.csv"));
    EXPECT_EQ(names_in(*train, folder), (Names{"images/x/a.png", "images/y/c.png"}));
    EXPECT_EQ(train->labels(), *labels ? (Ids{1, 2}) : (Ids{0, 1}));
    for (const char* split : {"val", "test"})
      EXPECT_EQ(names_in(*open_source(folder.path("all.csv"), split), folder),
                Names{"images/y/b.png"});
  }
  folder.write("all.csv", "path,split\nx/a.png,val\ny/b.png,test\n");
  EXPECT_NE(error_of(ExitCode::data, [&] { open_source(folder.path("all.csv")); })
                .find("no line for 'train', only for 'test' and 'val'"),
            std::string::npos);
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
