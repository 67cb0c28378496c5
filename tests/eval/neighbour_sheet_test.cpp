// Oracle: colours counted in the picture.
#include "sgmae/eval/neighbour_sheet.h"

#include <gtest/gtest.h>

#include <array>

#include "sgmae/image/draw.h"
#include "tests/data/folder.h"

namespace sgmae {
namespace {

int count(const Image& image, const Colour& colour) {
  int pixels = 0;
  for (std::size_t i = 0; i + 2 < image.pixels.size(); i += 3)
    pixels += image.pixels[i] == colour[0] && image.pixels[i + 1] == colour[1] &&
              image.pixels[i + 2] == colour[2];
  return pixels;
}

TEST(NeighbourSheet, FramesRightAndWrong) {
  using Mark = NeighbourPicture::Mark;
  constexpr Colour red{255, 0, 0}, right{0, 114, 178}, wrong{213, 94, 0};
  const Image picture = blank_image({100, 50}, red);
  const auto sheet = [&](Mark first, Mark second) {
    return neighbour_sheet({{{picture, "query"}, {picture, "a", first}, {picture, "b", second}},
                            {{picture, "another query"}}},
                           "title");
  };
  const Image both = sheet(Mark::right, Mark::wrong);
  EXPECT_EQ(count(both, red), 4 * 5000) << "all pictures whole, over no other";
  EXPECT_GT(count(both, right), 1000);
  EXPECT_GT(count(both, wrong), 1000);
  EXPECT_GT(count(sheet(Mark::right, Mark::right), right), 2 * count(both, right) - 500);
  EXPECT_EQ(count(sheet(Mark::none, Mark::none), right), 0);
}

TEST(NeighbourThumbnail, KeepsShapesAndSmallPixels) {
  const Image wide = neighbour_thumbnail(view(blank_image({600, 300}, {1, 2, 3})));
  EXPECT_EQ(wide.width, 120);
  EXPECT_EQ(wide.height, 60);
  Image small = blank_image({28, 14}, {0, 0, 0});
  small.pixels[0] = 255;
  const Image enlarged = neighbour_thumbnail(view(small));
  EXPECT_EQ(enlarged.width, 4 * 28);
  EXPECT_EQ(count(enlarged, {255, 0, 0}), 16);
  const Folder folder;
  folder.write("images/0.png", "no image");
  const auto source = open_files({folder.path("images/0.png")});
  EXPECT_EQ(neighbour_thumbnail(*source, 0).width, 120) << "grey in place of what is unreadable";
}

}  // namespace
}  // namespace sgmae
