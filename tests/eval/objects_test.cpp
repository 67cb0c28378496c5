// Oracles: boxes and masks small enough to work out by hand.
#include "sgmae/eval/objects.h"

#include <gtest/gtest.h>

#include "tests/data/folder.h"

namespace sgmae {
namespace {

const ImageSize kSize{20, 10};

TEST(ReadObjects, FindsBoxesInTheLabelsFolderOrBesideTheImage) {
  const Folder folder;
  folder.write("labels/train/a.txt", "3 0.25 0.5 0.5 1\n\n0 0.9 0.1 0.4 0.2\r\n");
  folder.write("flat/b.txt", "0 0.5 0.5 0.2 0.2\n");
  const auto a = read_objects(folder.path("images/train/a.jpg"), kSize, whole(kSize));
  ASSERT_TRUE(a.has_value());
  ASSERT_EQ(a->boxes.size(), 2u);
  EXPECT_DOUBLE_EQ(a->boxes[0].right, 0.5);
  EXPECT_DOUBLE_EQ(a->boxes[1].left, 0.7);
  EXPECT_DOUBLE_EQ(a->boxes[1].right, 1);  // clipped at the image
  const std::vector<float> cover = object_cover(*a, 1, 2);
  EXPECT_FLOAT_EQ(cover[0], 1);
  // Right half: 0.4 ... 1 of the patch's width times 0.2 of its height, to 1/16 of a patch.
  EXPECT_NEAR(cover[1], 0.6 * 0.2, 0.04);
  EXPECT_TRUE(read_objects(folder.path("flat/b.png"), kSize, whole(kSize)).has_value());
  EXPECT_FALSE(read_objects(folder.path("flat/c.png"), kSize, whole(kSize)).has_value());
}

TEST(ReadObjects, FollowsTheCrop) {
  const Folder folder;
  folder.write("a.txt", "0 0.5 0.5 0.5 0.5\n");  // pixels 5 ... 15 by 2.5 ... 7.5
  const auto seen = read_objects(folder.path("a.jpg"), kSize, {10, 0, 10, 10});
  ASSERT_TRUE(seen.has_value());
  EXPECT_DOUBLE_EQ(seen->boxes[0].left, 0);
  EXPECT_DOUBLE_EQ(seen->boxes[0].right, 0.5);
  EXPECT_DOUBLE_EQ(seen->boxes[0].top, 0.25);
  EXPECT_FALSE(read_objects(folder.path("a.jpg"), kSize, {16, 0, 4, 10}).has_value());
}

TEST(ReadObjects, TakesMasks) {
  const Folder folder;
  Image mask{20, 10, 1, std::vector<std::uint8_t>(200, 0)};
  for (int y = 0; y < 5; ++y)
    for (int x = 5; x < 10; ++x) mask.pixels[y * 20 + x] = 1;  // any value but 0
  const auto bytes = encode_png(view(mask));
  folder.write("masks/a.png", std::string(bytes.begin(), bytes.end()));
  const auto objects = read_objects(folder.path("images/a.jpg"), kSize, whole(kSize));
  ASSERT_TRUE(objects.has_value());
  EXPECT_DOUBLE_EQ(objects->boxes.at(0).left, 0.25);
  EXPECT_DOUBLE_EQ(objects->boxes.at(0).bottom, 0.5);
  EXPECT_EQ(object_cover(*objects, 2, 2), (std::vector<float>{0.5f, 0, 0, 0}));
  EXPECT_EQ(object_cover(*objects, 2, 4), (std::vector<float>{0, 1, 0, 0, 0, 0, 0, 0}));
  EXPECT_FALSE(read_objects(folder.path("images/a.jpg"), kSize, {10, 0, 10, 10}).has_value());
}

TEST(ReadObjects, RefusesWhatIsNoBoxOrNoMaskOfThisImage) {
  const Folder folder;
  folder.write("a.txt", "0 0.5 0.5 0.2 0.2\n0 0.5 dog\n");
  folder.write("b_mask.png", "no image");
  folder.image("c_mask.png", 1, 8, 8);
  const auto read = [&](const char* name) {
    return error_of(ExitCode::data, [&] { read_objects(folder.path(name), kSize, whole(kSize)); });
  };
  EXPECT_NE(read("a.jpg").find("a.txt:2"), std::string::npos);
  EXPECT_NE(read("b.jpg").find("b_mask.png"), std::string::npos);
  EXPECT_NE(read("c.jpg").find("8x8"), std::string::npos);
}

}  // namespace
}  // namespace sgmae
