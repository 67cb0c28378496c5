// Oracle: copies made here.
#include "sgmae/eval/duplicates.h"

#include <gtest/gtest.h>

#include "tests/data/folder.h"

namespace sgmae {
namespace {

using Groups = std::vector<std::vector<std::int64_t>>;

TEST(EqualImages, AreThoseOfTheSameBytes) {
  const Folder folder;
  std::vector<std::string> files;
  for (int i = 0; i < 200; ++i) {  // more than one thread takes at once
    const int value = i == 150 ? 3 : i == 199 ? 3 : i == 77 ? 20 : i;
    folder.image(str(i, ".png"), value);
    files.push_back(folder.path(str(i, ".png")));
  }
  folder.write("5.png", "no image");
  folder.write("6.png", "no image");  // unreadable ones are no duplicates
  folder.write("7.png", Folder::png(8) + "behind the end");
  const auto source = open_files(files);
  for (const int threads : {1, 3})
    EXPECT_EQ(equal_images(*source, threads), (Groups{{3, 150, 199}, {20, 77}}));
}

TEST(EqualImages, AreToldByRawPixels) {
  const Folder folder;
  std::vector<std::uint8_t> pixels(4 * 6, 9);
  pixels[6] = 1;  // the second of four images differs
  folder.write("train-images-idx3-ubyte", idx({4, 2, 3}, pixels));
  const auto source = open_source(folder.path());
  EXPECT_EQ(equal_images(*source, 2), (Groups{{0, 2, 3}}));
}

TEST(JoinedGroups, JoinWhatSharesAMember) {
  EXPECT_EQ(joined_groups({{1, 4}, {2, 9}}, {{4, 7}, {3, 5}, {7, 8}}),
            (Groups{{1, 4, 7, 8}, {2, 9}, {3, 5}}));
  EXPECT_EQ(joined_groups({{5, 6}}, {{1, 6}, {1, 2}}), (Groups{{1, 2, 5, 6}}));
  EXPECT_EQ(joined_groups({}, {}), Groups{});
}

}  // namespace
}  // namespace sgmae
