// Oracle: transformers' own folder (tests/golden/segmenter.py), written again; transformers reads
// what is written with tests/golden/read_segmenter.py.
#include "sgmae/eval/beit_segmenter.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <functional>

#include "sgmae/io/safetensors.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

const std::string kTheirs = SGMAE_TEST_DATA "/segment/beit";

TEST(BeitSegmenter, IsWrittenAsItWasRead) {
  const TemporaryFolder folder;
  const auto written = folder.root() / "again";
  write_beit_segmenter(written, read_beit_segmenter(kTheirs));
  const TensorFile before = read_safetensors(kTheirs + "/model.safetensors"),
                   after = read_safetensors(written / "model.safetensors");
  EXPECT_EQ(before.tensors.size(), after.tensors.size());
  for (const auto& [name, tensor] : before.tensors) {
    const at::Tensor* again = after.find(name);
    ASSERT_TRUE(again) << name;
    EXPECT_TRUE(at::equal(*again, tensor)) << name;
  }
  const SegmenterFile file = read_beit_segmenter(written);
  EXPECT_EQ(file.config.taps, (std::vector<std::int64_t>{0, 2, 3, 4}));
  EXPECT_EQ(file.classes, (std::vector<std::string>{"wall", "sky", "tree", "road", "water"}));
  EXPECT_EQ(file.config.backbone.attention, read_beit_segmenter(kTheirs).config.backbone.attention);
}

TEST(BeitSegmenter, WhatTransformersCannotHoldIsRefusedWithTheReason) {
  const TemporaryFolder folder;
  const auto reason = [&](const std::function<void(SegmenterConfig&)>& change) {
    SegmenterFile file = read_beit_segmenter(kTheirs);
    change(file.config);
    return error_of(ExitCode::usage, [&] { write_beit_segmenter(folder.root() / "none", file); });
  };
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(has(reason([](SegmenterConfig& c) { c.head = SegmentHead::linear; }), "linear"));
  EXPECT_TRUE(has(reason([](SegmenterConfig& c) { c.taps.back() = 5; }), "reads block 5"));
  EXPECT_TRUE(has(reason([](SegmenterConfig& c) { c.channels = 16; }), "16 channels"));
  EXPECT_TRUE(has(reason([](SegmenterConfig& c) { c.auxiliary_level = 1; }), "third"));
  EXPECT_TRUE(
      has(reason([](SegmenterConfig& c) { c.backbone.class_token = false; }), "class token"));
  EXPECT_TRUE(has(reason([](SegmenterConfig& c) { c.backbone.attention[2] = {}; }), "relative"));
  EXPECT_FALSE(std::filesystem::exists(folder.root() / "none"));
}

}  // namespace
}  // namespace sgmae
