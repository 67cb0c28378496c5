// Oracle: the rules written out by hand.
#include "sgmae/data/files.h"

#include <gtest/gtest.h>

#include "folder.h"

namespace sgmae {
namespace {

TEST(ListFolder, SortedWithKindsAndWithoutHiddenNames) {
  Folder folder;
  folder.touch("b.jpg");
  folder.touch("a/x");
  folder.touch(".hidden");
  std::filesystem::create_directory_symlink(folder.path("a"), folder.path("c"));
  std::string listed;
  for (const auto& [name, is_folder] : list_folder(folder.path()))
    listed += name + (is_folder ? "/ " : " ");
  EXPECT_EQ(listed, "a/ b.jpg c/ ");
  EXPECT_EQ(look_into(folder.path()).hidden, Names{".hidden"});
  EXPECT_FALSE(look_into(folder.path("nowhere")).read);
}

// Whole folders' names alone.
TEST(CommonFolder, EndsAtASlash) {
  const auto length = [](const Names& paths) {
    Labels labels;
    labels.labels.assign(paths.size(), -1);
    return common_folder(FileSource("/r", paths, labels));
  };
  EXPECT_EQ(length({"cat/1.jpg", "cat/2.jpg"}), 7u);
  EXPECT_EQ(length({"cat/1.jpg", "cat"}), 3u);
  EXPECT_EQ(length({"cat/1.jpg", "car/1.jpg"}), 3u);
  EXPECT_EQ(length({"a.jpg"}), 3u);
  EXPECT_EQ(length({}), 0u);
}

TEST(RawSource, ImagesInMemory) {
  const RawSource source("file", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, {1, 2}, 3,
                         {{4, -1}, {"a"}});
  EXPECT_EQ(source.size(), 2);
  EXPECT_EQ(source.name(1), "file#1");
  OpenedImage opened;
  source.open(1, opened);
  EXPECT_EQ(opened.size, (ImageSize{1, 2}));
  EXPECT_EQ(opened.raw.row(0)[2], 9);
  EXPECT_EQ(opened.raw.row(1)[0], 10);
}

}  // namespace
}  // namespace sgmae
