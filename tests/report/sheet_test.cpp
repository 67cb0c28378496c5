#include "sgmae/report/sheet.h"

#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "sgmae/mask/informed_plan.h"

namespace sgmae {
namespace {

MaeConfig tiny() {
  MaeConfig config;
  config.height = 16;
  config.width = 24;
  config.patch_size = 8;
  config.encoder = {16, 2, 2};
  config.decoder = {16, 1, 2};
  return config;
}

TEST(MaskSheet, HasAPanelPerImageAndColumn) {
  const Mae model(tiny(), 1);
  const at::Tensor pixels = at::randn({3, 3, 16, 24});
  GuideOptions options;
  options.center = GuideCenter::none;
  const Guide guide = make_guide(model, pixels, options);
  const MaskPlan plan = informed_plan(guide, 2, 1);
  const auto draw = [&](const Guide& shown, const SheetText& text) {
    return mask_sheet(model, pixels, shown, plan, 1, default_normalisation(3), text);
  };
  const Image sheet = draw(guide, {});
  EXPECT_GT(sheet.width, 5 * 160);
  EXPECT_GT(sheet.height, 3 * 100);
  EXPECT_EQ(sheet.pixels.size(), static_cast<std::size_t>(sheet.width) * sheet.height * 3);
  // A name over each row, and a title over all.
  const int height = sheet.height;
  const Image named = draw(guide, {"", {"a.jpg", "b.jpg", "c.jpg"}});
  EXPECT_GT(named.height, height + 3 * 10);
  EXPECT_GT(draw(guide, {"run, after epoch 1 of 2", {}}).height, height);
  EXPECT_NE(draw(guide, {"", {"a.jpg", "b.jpg", "d.jpg"}}).pixels, named.pixels);
  // An image without relevance says so.
  Guide without = guide;
  without.degenerate[1] = 1;
  EXPECT_GT(draw(without, {}).height, height + 3 * 10);
}

TEST(ModelTitle, CountsFinishedEpochs) {
  ModelInfo info;
  EXPECT_EQ(model_title("run", info), "run");
  EXPECT_EQ(model_title("run", info, 100), "run, before training");
  info.epoch = 20;
  EXPECT_EQ(model_title("run", info), "run, after epoch 20");
  EXPECT_EQ(model_title("run", info, 100), "run, after epoch 20 of 100");
  info.step = 7;
  EXPECT_EQ(model_title("run", info, 100), "run, in epoch 21 of 100");
}

}  // namespace
}  // namespace sgmae
