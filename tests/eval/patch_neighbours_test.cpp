// Oracle: counts of pixels written out; images of one colour a class, which any encoder tells
// apart.
#include "sgmae/eval/patch_neighbours.h"

#include <gtest/gtest.h>

#include "sgmae/image/label_map.h"

namespace sgmae {
namespace {

TEST(PatchClasses, AreThoseOfMostPixels) {
  constexpr std::uint8_t x = unlabelled_pixel;
  const std::vector<std::uint8_t> labels{
      1, 1, 0, 2,  //
      1, 3, 2, 0,  //
      x, x, x, 5,  //
      x, 4, x, x,  //
  };
  EXPECT_EQ(patch_classes(labels.data(), 4, 4, 2), (std::vector<std::int64_t>{1, 0, -1, -1}));
  const std::vector<std::uint8_t> half{x, 4, 4, x};
  EXPECT_EQ(patch_classes(half.data(), 2, 2, 2), (std::vector<std::int64_t>{4}));
}

}  // namespace
}  // namespace sgmae
