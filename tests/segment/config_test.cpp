// Oracle: method.md 8.2, and what each rule says.
#include "sgmae/segment/config.h"

#include <gtest/gtest.h>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

using Taps = std::vector<std::int64_t>;

VitConfig vit(std::int64_t depth) {
  VitConfig c;
  c.size = {16, depth, 2};
  c.mlp_hidden = 32;
  return c;
}

TEST(SegmentConfig, TapsAreThosePublished) {
  EXPECT_EQ(default_taps(12), (Taps{3, 5, 7, 11}));
  EXPECT_EQ(default_taps(24), (Taps{7, 11, 15, 23}));
  EXPECT_EQ(default_taps(4), (Taps{0, 1, 2, 3}));
  for (std::int64_t depth = 4; depth < 40; ++depth) {
    SegmenterConfig c;
    c.backbone = segmentation_backbone(vit(depth), 64, 64, false, false);
    c.taps = default_taps(depth);
    EXPECT_NO_THROW(check_config(c)) << depth;
    EXPECT_EQ(c.taps.back(), depth - 1);
  }
  EXPECT_THROW(default_taps(3), Error);
}

TEST(SegmentConfig, TheBackboneGetsWhatIsAskedForAndKeepsWhatItHas) {
  VitConfig given = vit(2);
  given.registers = 4;
  given.classes = 10;
  const VitConfig plain = segmentation_backbone(given, 64, 96, false, false);
  EXPECT_EQ(plain.registers, 0);
  EXPECT_EQ(plain.classes, 0);
  EXPECT_TRUE(plain.class_token);
  EXPECT_FALSE(plain.has_final_norm() || plain.layer_scale);
  EXPECT_EQ(plain.grid_width(), 6);
  EXPECT_EQ(plain.attention_of(0).relative_position, RelativePosition::none);
  const VitConfig beit = segmentation_backbone(given, 64, 96, true, true);
  EXPECT_TRUE(beit.layer_scale);
  EXPECT_EQ(beit.attention_of(1).relative_position, RelativePosition::bias);
  given.layer_scale = true;
  EXPECT_TRUE(segmentation_backbone(given, 64, 96, false, false).layer_scale);
  given.class_token = false;
  given.registers = 0;
  given.attention = {{3, RelativePosition::decomposed}, {0, RelativePosition::none}};
  const VitConfig mixed = segmentation_backbone(given, 64, 96, true, false);
  EXPECT_EQ(mixed.attention_of(0), (BlockAttention{3, RelativePosition::decomposed}));
  EXPECT_EQ(mixed.attention_of(1), (BlockAttention{0, RelativePosition::bias}));
  EXPECT_THROW(segmentation_backbone(given, 65, 96, true, false), Error);
}

TEST(SegmentConfig, WhatCannotBeIsRefused) {
  const auto refused = [](auto change) {
    SegmenterConfig c;
    c.backbone = segmentation_backbone(vit(12), 64, 64, false, false);
    check_config(c);
    change(c);
    try {
      check_config(c);
      return false;
    } catch (const Error& error) {
      return error.code() == ExitCode::usage;
    }
  };
  using C = SegmenterConfig;
  EXPECT_TRUE(refused([](C& c) { c.classes = 1; }));
  EXPECT_TRUE(refused([](C& c) { c.classes = 256; }));
  EXPECT_TRUE(refused([](C& c) { c.taps = {}; }));
  EXPECT_TRUE(refused([](C& c) { c.taps = {3, 5, 7}; }));
  EXPECT_TRUE(refused([](C& c) { c.taps = {3, 5, 7, 12}; }));
  EXPECT_TRUE(refused([](C& c) { c.taps = {-1, 5, 7, 11}; }));
  EXPECT_TRUE(refused([](C& c) { c.taps = {3, 5, 5, 11}; }));
  EXPECT_TRUE(refused([](C& c) { c.taps = {5, 3, 7, 11}; }));
  EXPECT_TRUE(refused([](C& c) { c.channels = 0; }));
  EXPECT_TRUE(refused([](C& c) { c.pool_scales = {}; }));
  EXPECT_TRUE(refused([](C& c) { c.pool_scales = {0}; }));
  EXPECT_TRUE(refused([](C& c) { c.dropout = 1; }));
  EXPECT_TRUE(refused([](C& c) { c.auxiliary_weight = -1; }));
  EXPECT_TRUE(refused([](C& c) { c.auxiliary_level = 4; }));
  EXPECT_FALSE(refused([](C& c) { c.head = SegmentHead::linear, c.taps = {11}; }));
}

}  // namespace
}  // namespace sgmae
