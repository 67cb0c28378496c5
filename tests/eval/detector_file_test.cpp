// Oracle: what was saved; positions cut out and stretched by hand.
#include "sgmae/eval/detector_file.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/checkpoint/write_model.h"
#include "sgmae/io/safetensors.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

VitConfig encoder(bool layer_scale = false) {
  VitConfig vit;
  vit.height = vit.width = 32;
  vit.size = {16, 4, 2};
  vit.mlp_hidden = 32;
  vit.patch_size = 8;
  vit.layer_scale = layer_scale;
  return vit;
}

MaskRcnnConfig config(const VitConfig& vit, std::int64_t side = 64, std::int64_t classes = 2) {
  MaskRcnnConfig c;
  c.backbone = detection_backbone(vit, side, side, 3, {1});
  c.classes = classes;
  c.channels = 8;
  c.box_hidden = 16;
  c.box_convs = 2, c.mask_convs = 1;
  c.proposals.anchors.scale = 5;
  return c;
}

class DetectorFiles : public ::testing::Test {
 protected:
  void SetUp() override { set_log_quiet(true); }

  fs::path save(const MaskRcnn& model, std::int64_t classes = 2) const {
    DetectorClasses names;
    for (std::int64_t i = 0; i < classes; ++i) {
      names.names.push_back(str("class ", i));
      names.ids.push_back(10 * i);
    }
    const fs::path path = folder_.root() / "detector.safetensors";
    save_detector(path, model, {{0.5f, 0.4f, 0.3f}, {0.1f, 0.2f, 0.3f}}, 7, names);
    return path;
  }

  const TemporaryFolder folder_;
};

TEST_F(DetectorFiles, ComeBackAsTheyWere) {
  const MaskRcnn model(config(encoder()), 1);
  const fs::path path = save(model);
  EXPECT_TRUE(holds_detector(path));
  const DetectorFile file = read_detector(path);
  EXPECT_EQ(file.classes.names, (std::vector<std::string>{"class 0", "class 1"}));
  EXPECT_EQ(file.classes.ids, (std::vector<std::int64_t>{0, 10}));
  EXPECT_EQ(file.normalisation.std, (std::vector<float>{0.1f, 0.2f, 0.3f}));
  EXPECT_EQ(file.config.proposals.anchors.scale, 5);
  EXPECT_EQ(file.config.backbone.attention, model.config().backbone.attention);
  MaskRcnn again(file.config, 2);
  load_detector(file, again);
  for (std::size_t i = 0; i < model.parameters().size(); ++i)
    EXPECT_TRUE(at::equal(model.parameters()[i].value, again.parameters()[i].value))
        << model.parameters()[i].name;
}

TEST_F(DetectorFiles, HaveViTDetsNames) {
  const fs::path path = save(MaskRcnn(config(encoder()), 1));
  const TensorFile file = read_safetensors(path);
  for (const char* name : {"backbone.net.pos_embed",
                           "backbone.net.patch_embed.proj.weight",
                           "backbone.net.blocks.1.attn.rel_pos_h",
                           "backbone.simfp_2.0.weight",
                           "backbone.simfp_2.1.weight",
                           "backbone.simfp_2.4.norm.weight",
                           "backbone.simfp_3.2.weight",
                           "backbone.simfp_4.0.weight",
                           "backbone.simfp_5.2.norm.bias",
                           "proposal_generator.rpn_head.conv.conv1.bias",
                           "proposal_generator.rpn_head.objectness_logits.weight",
                           "proposal_generator.rpn_head.anchor_deltas.bias",
                           "roi_heads.box_head.conv1.weight",
                           "roi_heads.box_head.conv2.norm.bias",
                           "roi_heads.box_head.fc1.bias",
                           "roi_heads.box_predictor.cls_score.weight",
                           "roi_heads.box_predictor.bbox_pred.bias",
                           "roi_heads.mask_head.mask_fcn1.norm.weight",
                           "roi_heads.mask_head.deconv.weight",
                           "roi_heads.mask_head.predictor.weight"})
    EXPECT_TRUE(file.find(name)) << name;
}

TEST_F(DetectorFiles, AreEncodersToEveryOtherCommand) {
  const MaskRcnn model(config(encoder()), 1);
  const Pretrained read = read_pretrained(save(model));
  EXPECT_EQ(read.config.attention, model.config().backbone.attention);
  EXPECT_FALSE(read.config.class_token);
  ASSERT_TRUE(read.find("blocks.0.attn.qkv.weight"));
}

TEST_F(DetectorFiles, BeginAnotherCanvasOrOtherClasses) {
  const MaskRcnn model(config(encoder()), 1);
  const DetectorFile file = read_detector(save(model));
  MaskRcnn other(config(encoder(), 96, 5), 2);
  const MaskRcnn drawn(config(encoder(), 96, 5), 2);
  load_detector(file, other);
  for (std::size_t i = 0; i < other.parameters().size(); ++i) {
    const Parameter& p = other.parameters()[i];
    const at::Tensor& before = model.parameters()[i].value;
    if (p.name == "pos_embed")
      EXPECT_TRUE(at::equal(p.value, resize_position_embedding(before, {8, 8}, {12, 12})));
    else if (p.name == "blocks.1.attn.rel_pos_h")
      EXPECT_TRUE(at::equal(p.value, resize_relative_axis(before, 12)));
    else if (before.sizes() != p.value.sizes())
      EXPECT_TRUE(at::equal(p.value, drawn.parameters()[i].value)) << p.name;
    else
      EXPECT_TRUE(at::equal(p.value, before)) << p.name;
  }
}

TEST_F(DetectorFiles, BackbonesBeginFromEncodersOfAnyFamily) {
  for (const bool layer_scale : {false, true}) {
    Vit vit(encoder(layer_scale), 5);
    for (Parameter& p : vit.parameters()) p.value.add_(noise(p.value.sizes(), 4), 0.1);
    const fs::path path = folder_.root() / "encoder.safetensors";
    ModelInfo info;
    info.mean = info.std = {0.5f, 0.5f, 0.5f};
    save_vit(path, vit, info);
    const Pretrained file = read_pretrained(path);
    MaskRcnn model(config(file.config), 1);
    load_backbone(file, model);
    int compared = 0;
    for (const Parameter& p : model.parameters()) {
      const at::Tensor* stored = file.find(p.name);
      if (p.name == "pos_embed") {
        const at::Tensor expected = resize_position_embedding(*stored, {4, 4}, {8, 8});
        EXPECT_TRUE(at::equal(p.value, expected.narrow(1, 1, 64)));
      } else if (stored) {
        EXPECT_TRUE(at::equal(p.value, *stored)) << p.name;
        ++compared;
      } else if (p.name.find("rel_pos") != std::string::npos) {
        EXPECT_FALSE(p.value.any().item<bool>()) << "begins at zero";
      }
    }
    EXPECT_EQ(compared, 2 + 4 * (layer_scale ? 14 : 12));
  }
}

TEST_F(DetectorFiles, WhatIsNoneIsSaid) {
  const fs::path vit = folder_.root() / "vit.safetensors";
  save_vit(vit, Vit(encoder(), 1), {});
  EXPECT_FALSE(holds_detector(vit));
  EXPECT_NE(error_of(ExitCode::checkpoint, [&] { read_detector(vit); }).find("no detector"),
            std::string::npos);
  EXPECT_FALSE(holds_detector(folder_.root() / "nowhere"));

  TensorFile file = read_safetensors(save(MaskRcnn(config(encoder()), 1)));
  const fs::path path = folder_.root() / "broken.safetensors";
  const auto refused = [&](const auto& change) {
    TensorFile broken = file;
    change(broken);
    write_safetensors(path, broken.tensors, broken.metadata);
    return exit_code([&] {
      MaskRcnn model(config(encoder()), 2);
      load_detector(read_detector(path), model);
    });
  };
  EXPECT_EQ(refused([](TensorFile& f) { f.tensors.pop_back(); }), ExitCode::checkpoint);
  EXPECT_EQ(refused([](TensorFile& f) {
              for (auto& [name, tensor] : f.tensors)
                if (name == "roi_heads.box_head.fc1.bias") tensor = tensor.log();
            }),
            ExitCode::checkpoint)
      << "values that are no numbers";
  for (const auto& [from, to] : {std::pair{"\"box_convs\":2", "\"box_convs\":\"two\""},
                                 {"\"classes\":2", "\"classes\":-1"},
                                 {"\"classes\":2", "\"classes\":3"},
                                 {"\"channels\":8", "\"channels\":1000000000000"}})
    EXPECT_EQ(refused([&, from = from, to = to](TensorFile& f) {
                std::string& text = f.metadata["sgmae"];
                const std::size_t at = text.find(from);
                ASSERT_NE(at, std::string::npos) << from;
                text.replace(at, std::string(from).size(), to);
              }),
              ExitCode::checkpoint)
        << to;
}

}  // namespace
}  // namespace sgmae
