// Oracle: the published count of ViT-B/16 (17.58 GMAC for the encoder on a whole image at 224 px)
// and this project's table of method.md 1.2.
#include "sgmae/train/flops.h"

#include <gtest/gtest.h>

namespace sgmae {
namespace {

TEST(Flops, MaeBaseIs59GflopPerTrainingImage) {
  const MaeConfig base;  // ViT-B/16, decoder 512 x 8
  // 58.7 in the table, which rounds its parts to 0.01 GMAC.
  EXPECT_NEAR(training_flop_per_image(base, 49) * 1e-9, 58.7, 0.3);
}

TEST(Flops, EncoderOnAWholeImageMatchesThePublishedCount) {
  MaeConfig all;
  all.decoder.depth = 0;
  all.decoder.dim = 0;
  EXPECT_NEAR(training_flop_per_image(all, 196) / 6e9, 17.58, 0.05);
}

TEST(Flops, AClassifierIsTheEncoderAndItsHead) {
  VitConfig base;
  base.classes = 1000;
  EXPECT_NEAR(training_flop_per_image(base) / 6e9, 17.58, 0.05);
  VitConfig plain = base;
  plain.classes = 0;
  EXPECT_DOUBLE_EQ(training_flop_per_image(base) - training_flop_per_image(plain),
                   6.0 * 768 * 1000);
}

// A window as large as the image is no window; four windows a quarter of the pairs each.
TEST(Flops, WindowsSeeFewerPairs) {
  VitConfig global, whole, four;  // 14 x 14 patches
  global.class_token = whole.class_token = four.class_token = false;
  whole.attention.assign(12, {14, RelativePosition::none});
  four.attention.assign(12, {7, RelativePosition::none});
  const double all = training_flop_per_image(global);
  EXPECT_DOUBLE_EQ(training_flop_per_image(whole), all);
  const double pairs = 196.0 * 196;
  EXPECT_NEAR(all - training_flop_per_image(four), 6 * 12 * 2 * 768 * pairs * 3 / 4, 1e-9 * all);
}

}  // namespace
}  // namespace sgmae
