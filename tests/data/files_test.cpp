// Oracle: the rules written out by hand.
#include "sgmae/data/files.h"

#include <gtest/gtest.h>

#include "folder.h"

namespace sgmae {
namespace {

TEST(Labels, ByNameInSortedOrder) {
  const Labels labels = number_by_name({"b", "", "10", "9", "b"});
  EXPECT_EQ(labels.class_names, (Names{"10", "9", "b"}));
  EXPECT_EQ(labels.labels, (Ids{2, -1, 0, 1, 2}));
}

TEST(Labels, NumbersStandForThemselves) {
  const Labels numbers = number_by_word({"3", "", "0"}, "x");
  EXPECT_EQ(numbers.labels, (Ids{3, -1, 0}));
  EXPECT_EQ(numbers.class_names, (Names{"0", "1", "2", "3"}));
  EXPECT_EQ(number_by_word({"3", "x", "0"}, "x").labels, (Ids{1, 2, 0}));
  const auto why = error_of(ExitCode::data, [] { number_by_word({"99999999999"}, "x.txt"); });
  EXPECT_NE(why.find("x.txt is too large"), std::string::npos) << why;
  EXPECT_EQ(number_by_word({"99999999999999999999"}, "x").labels, (Ids{0}));  // a name
}

TEST(ImageExtension, AnyCase) {
  for (const char* yes : {"a.jpg", "b.JPEG", ".png", "x.y.WebP"})
    EXPECT_TRUE(has_image_extension(yes));
  for (const char* no : {"jpg", "a.gif", "a.jpg.txt", "", "a.jpegs", "a."})
    EXPECT_FALSE(has_image_extension(no));
}

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
