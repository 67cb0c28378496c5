// Oracle: ViTDet's published sizes; what does not fit is refused.
#include "sgmae/detect/config.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"

namespace sgmae {
namespace {

std::vector<std::int64_t> global_of(std::int64_t depth) {
  VitConfig vit = encoder_config(named_config("vit_base_patch16"));
  vit.size.depth = depth;
  vit = detection_backbone(vit, 64, 64, 14, {});
  std::vector<std::int64_t> blocks;
  for (std::int64_t i = 0; i < depth; ++i)
    if (vit.attention_of(i).window == 0) blocks.push_back(i);
  return blocks;
}

using Blocks = std::vector<std::int64_t>;

TEST(DetectionBackbone, AttendsGloballyAtTheEndOfEachQuarter) {
  EXPECT_EQ(global_of(12), (Blocks{2, 5, 8, 11}));    // ViT-B
  EXPECT_EQ(global_of(24), (Blocks{5, 11, 17, 23}));  // ViT-L
  EXPECT_EQ(global_of(32), (Blocks{7, 15, 23, 31}));  // ViT-H
  EXPECT_EQ(global_of(3), (Blocks{0, 1, 2}));
  EXPECT_EQ(global_of(1), (Blocks{0}));
}

TEST(DetectionBackbone, KeepsWhatBelongsToTheWeightsAndDropsWhatHasNoPlaceOnAMap) {
  VitConfig vit = encoder_config(named_config("vit_small_patch16"));
  vit.layer_scale = true;
  vit.registers = 4;
  vit.classes = 10;
  const VitConfig c = detection_backbone(vit, 320, 480, 7, {3});
  EXPECT_TRUE(c.layer_scale);
  EXPECT_EQ(c.size.dim, vit.size.dim);
  EXPECT_EQ(c.height, 320);
  EXPECT_EQ(c.width, 480);
  EXPECT_EQ(c.registers + c.classes, 0);
  EXPECT_FALSE(c.class_token || c.final_norm);
  EXPECT_EQ(c.attention_of(3).window, 0);
  EXPECT_EQ(c.attention_of(4).window, 7);
  EXPECT_EQ(c.attention_of(3).relative_position, RelativePosition::decomposed);
}

TEST(DetectionBackbone, WhatDoesNotFitIsRefused) {
  const VitConfig vit = encoder_config(named_config("vit_small_patch16"));
  EXPECT_EQ(exit_code([&] { detection_backbone(vit, 320, 320, 14, {12}); }), ExitCode::usage);
  EXPECT_EQ(exit_code([&] { detection_backbone(vit, 321, 320, 14, {}); }), ExitCode::usage);
  EXPECT_EQ(exit_code([&] { detection_backbone(vit, 320, 320, -1, {}); }), ExitCode::usage);
  MaskRcnnConfig c;
  c.backbone = detection_backbone(vit, 320, 320, 14, {});
  check_config(c);
  c.classes = 0;
  EXPECT_EQ(exit_code([&] { check_config(c); }), ExitCode::usage);
}

}  // namespace
}  // namespace sgmae
