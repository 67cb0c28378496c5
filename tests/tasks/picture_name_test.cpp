// Oracle: names that differ.
#include "sgmae/tasks/picture_name.h"

#include <gtest/gtest.h>

namespace sgmae {
namespace {

TEST(PictureName, NoTwoAreTheSame) {
  std::set<std::string> taken;
  EXPECT_EQ(picture_name("a/cat.jpg", taken), "cat");
  EXPECT_EQ(picture_name("b/cat.png", taken), "cat_2");
  EXPECT_EQ(picture_name("b/cat_2.png", taken), "cat_2_2");
  EXPECT_EQ(picture_name("c/cat.jpg", taken), "cat_3");
}

}  // namespace
}  // namespace sgmae
