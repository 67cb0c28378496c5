// Oracle: what was saved; positions stretched by hand; transformers' logits for its own folder
// (tests/golden/segmenter.py).
#include "sgmae/eval/segmenter_file.h"

#include <ATen/Parallel.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/checkpoint/write_model.h"
#include "sgmae/nn/position_embedding.h"
#include "tests/segment/golden.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

SegmenterConfig config(std::int64_t side = 40, std::int64_t classes = 5) {
  SegmenterConfig c = segment_golden_config();
  c.backbone = segmentation_backbone(c.backbone, side, side, true, true);
  c.classes = classes;
  return c;
}

class SegmenterFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_quiet(true);
    at::set_num_threads(1);
  }

  fs::path save(const Segmenter& model) const {
    std::vector<std::string> names;
    for (std::int64_t i = 0; i < model.config().classes; ++i) names.push_back(str("class ", i));
    const fs::path path = folder_.root() / "segmenter.safetensors";
    save_segmenter(path, model, {{0.5f, 0.4f, 0.3f}, {0.1f, 0.2f, 0.3f}}, 7, names);
    return path;
  }

  const TemporaryFolder folder_;
};

TEST_F(SegmenterFiles, ComeBackAsTheyWere) {
  const Segmenter model = segment_golden_model();
  const fs::path path = save(model);
  EXPECT_TRUE(holds_segmenter(path));
  const SegmenterFile file = read_segmenter(path);
  EXPECT_EQ(file.classes[4], "class 4");
  EXPECT_EQ(file.normalisation.std, (std::vector<float>{0.1f, 0.2f, 0.3f}));
  EXPECT_EQ(file.config.taps, model.config().taps);
  EXPECT_EQ(file.config.backbone.attention, model.config().backbone.attention);
  EXPECT_TRUE(file.config.backbone.layer_scale);
  Segmenter again(file.config, 2);
  load_segmenter(file, again);
  for (std::size_t i = 0; i < model.parameters().size(); ++i)
    EXPECT_TRUE(at::equal(model.parameters()[i].value, again.parameters()[i].value))
        << model.parameters()[i].name;
  const NamedTensors before = model.statistics(), after = again.statistics();
  for (std::size_t i = 0; i < before.size(); ++i)
    EXPECT_TRUE(at::equal(before[i].second, after[i].second)) << before[i].first;
}

TEST_F(SegmenterFiles, OfALinearHeadComeBackToo) {
  SegmenterConfig c = config();
  c.head = SegmentHead::linear;
  c.taps = {5};
  const Segmenter model(c, 3);
  const SegmenterFile file = read_segmenter(save(model));
  EXPECT_EQ(file.config.head, SegmentHead::linear);
  Segmenter again(file.config, std::nullopt);
  load_segmenter(file, again);
  const at::Tensor pixels = noise({1, 3, 40, 40}, 0);
  EXPECT_TRUE(again.logits(pixels).equal(model.logits(pixels)));
}

TEST_F(SegmenterFiles, AreEncodersToEveryOtherCommand) {
  const Segmenter model(config(), 1);
  const Pretrained read = read_pretrained(save(model));
  EXPECT_EQ(read.config.attention, model.config().backbone.attention);
  EXPECT_TRUE(read.config.class_token);
  ASSERT_TRUE(read.find("blocks.0.attn.qkv.weight"));
  EXPECT_TRUE(read.config.layer_scale);
}

TEST_F(SegmenterFiles, BeginAnotherSizeOrOtherClasses) {
  const Segmenter model = segment_golden_model();
  const SegmenterFile file = read_segmenter(save(model));
  Segmenter other(config(56, 3), 2);
  const Segmenter drawn(config(56, 3), 2);
  load_segmenter(file, other);
  for (std::size_t i = 0; i < other.parameters().size(); ++i) {
    const Parameter& p = other.parameters()[i];
    const at::Tensor& before = model.parameters()[i].value;
    if (p.name == "pos_embed") {
      EXPECT_TRUE(p.value.equal(resize_position_embedding(before, {5, 5}, {7, 7})));
    } else if (p.name.ends_with("bias_table")) {
      EXPECT_TRUE(p.value.equal(resize_relative_bias(before, {5, 5}, {7, 7})));
    } else if (p.name.find("classifier") != std::string::npos) {
      EXPECT_TRUE(p.value.equal(drawn.parameters()[i].value)) << p.name;
    } else {
      EXPECT_TRUE(p.value.equal(before)) << p.name;
    }
  }
}

TEST_F(SegmenterFiles, APretrainedEncoderBeginsTheBackbone) {
  MaeConfig mae_config;
  mae_config.height = mae_config.width = 24;
  mae_config.patch_size = 8;
  mae_config.encoder = {8, 6, 2};
  mae_config.decoder = {8, 1, 2};
  mae_config.mlp_ratio = 2;
  const Mae mae(mae_config, 5);
  const fs::path path = folder_.root() / "mae.safetensors";
  ModelInfo info;
  info.mean = info.std = {0.5f, 0.5f, 0.5f};
  save_mae(path, mae, info);
  const Pretrained file = read_pretrained(path);
  SegmenterConfig c = config();
  c.backbone = segmentation_backbone(file.config, 40, 40, true, true);
  Segmenter model(c, 1);
  load_backbone(file, model);
  for (const Parameter& p : model.parameters()) {
    if (p.name == "pos_embed") {
      EXPECT_TRUE(p.value.equal(resize_position_embedding(*file.find(p.name), {3, 3}, {5, 5})));
    } else if (p.name.ends_with(".gamma")) {
      EXPECT_TRUE(p.value.eq(1).all().item<bool>());
    } else if (p.name.ends_with("bias_table")) {
      EXPECT_TRUE(p.value.eq(0).all().item<bool>());
    } else if (p.name.starts_with("blocks.")) {
      EXPECT_TRUE(p.value.equal(*file.find(p.name))) << p.name;
    }
  }
}

// 1e-5: fp32 against double.
TEST_F(SegmenterFiles, TransformersFoldersOpenWithTheBlocksTheyReallyRead) {
  const fs::path folder = SGMAE_TEST_DATA "/segment/beit";
  EXPECT_TRUE(holds_segmenter(folder));
  const SegmenterFile file = read_segmenter(folder);
  EXPECT_EQ(file.config.taps, (std::vector<std::int64_t>{0, 2, 3, 4}));
  EXPECT_EQ(file.classes, (std::vector<std::string>{"wall", "sky", "tree", "road", "water"}));
  EXPECT_EQ(file.normalisation.mean, (std::vector<float>{0.5f, 0.5f, 0.5f}));
  Segmenter model(file.config, std::nullopt);
  load_segmenter(file, model);
  const TensorFile& golden = segment_golden();
  EXPECT_LT(relative_error(model.logits(golden_tensor(golden, "pixels")),
                           golden_tensor(golden, "logits")),
            1e-5);
}

TEST_F(SegmenterFiles, WhatIsNoneOrCannotBeRunIsRefused) {
  const fs::path path = folder_.root() / "vit.safetensors";
  write_file(folder_.root() / "text.safetensors", "not tensors");
  EXPECT_THROW(read_segmenter(folder_.root() / "text.safetensors"), Error);
  EXPECT_THROW(read_segmenter(folder_.root() / "nothing"), Error);
  EXPECT_FALSE(holds_segmenter(folder_.root() / "nothing"));
  const fs::path theirs = SGMAE_TEST_DATA "/segment/beit", copy = folder_.root() / "beit";
  const std::string config = read_text(theirs / "config.json");
  const auto refused = [&](const std::string& from, const std::string& to) {
    fs::remove_all(copy);
    fs::copy(theirs, copy);
    std::string changed = config;
    const auto at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    changed.replace(at, from.size(), to);
    fs::permissions(copy / "config.json", fs::perms::owner_all);
    write_file(copy / "config.json", changed);
    try {
      const SegmenterFile file = read_segmenter(copy);
      Segmenter model(file.config, std::nullopt);
      load_segmenter(file, model);
      return false;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::checkpoint) << error.what();
      EXPECT_NE(std::string(error.what()).find(copy.string()), std::string::npos);
      return true;
    }
  };
  EXPECT_TRUE(refused("\"use_shared_relative_position_bias\": false",
                      "\"use_shared_relative_position_bias\": true"));
  EXPECT_TRUE(refused("\"auxiliary_concat_input\": false", "\"auxiliary_concat_input\": true"));
  EXPECT_TRUE(refused("\"auxiliary_num_convs\": 1", "\"auxiliary_num_convs\": 2"));
  EXPECT_TRUE(refused("\"out_indices\": [\n    2,", "\"out_indices\": ["));
  EXPECT_TRUE(refused("\"out_indices\": [\n    2,", "\"out_indices\": [\n    1,"));
  EXPECT_TRUE(refused("\"hidden_size\": 8", "\"hidden_size\": 12"));
  EXPECT_TRUE(refused("\"num_hidden_layers\": 6", "\"num_hidden_layers\": 7"));
}

}  // namespace
}  // namespace sgmae
