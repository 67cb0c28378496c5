// Oracle: sizes and parameter counts worked out by hand; published names of sizes.
#include "sgmae/checkpoint/describe.h"

#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/checkpoint/native.h"

namespace sgmae {
namespace {

bool holds(const std::vector<std::string>& lines, const std::string& part) {
  for (const std::string& line : lines)
    if (line.find(part) != std::string::npos) return true;
  return false;
}

// tests/tiny_mae.h: one block of width d and MLP 4d has 12 d^2 + 13 d values.
TEST(Describe, CountsEveryPart) {
  const ModelFile file = file_of(Mae(tiny_mae(), 1));
  const ModelDescription d = describe(file);
  EXPECT_EQ(d.encoder_parameters, 16 + 5 * 16         // class token, positions
                                      + 64 * 16 + 16  // patches of 8x8x1
                                      + 12 * 16 * 16 + 13 * 16 + 2 * 16);
  EXPECT_EQ(d.decoder_parameters, 8 + 5 * 8                          // mask token, positions
                                      + 16 * 8 + 8                   // embedding
                                      + 12 * 8 * 8 + 13 * 8 + 2 * 8  //
                                      + 8 * 64 + 64);
  EXPECT_EQ(d.head_parameters, 0);
  EXPECT_TRUE(holds(d.parts, "encoder: 1 block, width 16, 2 heads, 4448 parameters")) << d.parts[0];
  EXPECT_TRUE(holds(d.parts, "decoder: 1 block, width 8, 2 heads"));
  EXPECT_TRUE(holds(d.uses, "sgmae reconstruct"));
  EXPECT_EQ(d.kind, "a pre-trained autoencoder, encoder and decoder");
  EXPECT_EQ(d.architecture,
            "ViT (width 16, 1 blocks) with patches of 8, images 16x16 with 1 channel");
  EXPECT_TRUE(d.warnings.empty());
}

TEST(Describe, NamesThePublishedSizes) {
  VitConfig config = encoder_config(tiny_mae());
  for (const auto& [letter, size, patch] : {std::tuple{"ViT-Ti/16", VitSize{192, 12, 3}, 16},
                                            {"ViT-S/14", VitSize{384, 12, 6}, 14},
                                            {"ViT-B/16", VitSize{768, 12, 12}, 16},
                                            {"ViT-L/16", VitSize{1024, 24, 16}, 16},
                                            {"ViT-H/14", VitSize{1280, 32, 16}, 14}}) {
    config.size = size;
    config.patch_size = patch;
    EXPECT_TRUE(architecture_of(config).starts_with(std::string(letter) + ", "))
        << architecture_of(config);
  }
  config.size.heads = 8;
  EXPECT_TRUE(architecture_of(config).starts_with("ViT (width 1280"));
}

TEST(Describe, TellsRegistersLayerScaleAndHeadsApart) {
  VitConfig config = encoder_config(tiny_mae());
  config.layer_scale = true;
  config.registers = 2;
  const ModelDescription dino = describe(file_of(Vit(config, 1)));
  EXPECT_NE(dino.architecture.find("LayerScale, 2 registers"), std::string::npos);
  EXPECT_EQ(dino.kind, "an encoder without decoder or head");
  EXPECT_FALSE(holds(dino.uses, "reconstruct"));
  for (const char* command : {"knn:", "embed:", "mask:", "analyze:", "finetune:", "linprobe:"})
    EXPECT_TRUE(holds(dino.uses, command)) << command;

  config = encoder_config(tiny_mae());
  config.classes = 7;
  config.pooling = Pooling::mean;
  const ModelDescription classifier = describe(file_of(Vit(config, 1)));
  EXPECT_EQ(classifier.head_parameters, 7 * 16 + 7 + 2 * 16) << "with the norm of the mean";
  EXPECT_FALSE(holds(classifier.uses, "linprobe")) << "there is no final norm to probe behind";
  EXPECT_TRUE(holds(classifier.parts, "head: 7 classes"));
}

TEST(Describe, WarnsOfWhatWillNotRun) {
  ModelFile file = file_of(Mae(tiny_mae(), 1));
  file.tensors[0].second = at::zeros_like(file.tensors[0].second).fill_(std::nanf(""));
  file.left_out = {"optimizer.state.0.exp_avg"};
  const ModelDescription d = describe(file);
  EXPECT_EQ(d.not_finite, std::vector<std::string>{"cls_token"});
  EXPECT_TRUE(holds(d.warnings, "'cls_token'"));
  EXPECT_TRUE(d.uses.empty()) << "nothing is promised of it";
  EXPECT_TRUE(d.optimizer);
  EXPECT_TRUE(holds(d.parts, "optimizer state"));
}

TEST(Describe, TextAndJsonSayTheSame) {
  ModelFile file = file_of(Mae(tiny_mae(), 1));
  file.epoch_known = true;
  file.info.epoch = 12;
  file.norm_pix_loss = true;
  file.assumptions = {"heads 2"};
  file.info.guide = {{"mask_strategy", "amt"}, {"start", 15}};
  const ModelDescription d = describe(file);
  const std::string text = to_text(d, file);
  for (const char* part : {"12 finished", "normalised patches", "assumed   heads 2",
                           "masks     mask_strategy amt, start 15\n", "good for"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  const auto j = to_json(d, file);
  EXPECT_EQ(j["epoch"], 12);
  EXPECT_EQ(j["norm_pix_loss"], true);
  EXPECT_EQ(j["has_decoder"], true);
  EXPECT_EQ(j["config"]["decoder_dim"], 8);
  EXPECT_EQ(j["encoder_parameters"], 4448);

  file.epoch_known = false;
  file.norm_pix_loss.reset();
  EXPECT_TRUE(to_json(d, file)["epoch"].is_null());
  EXPECT_TRUE(to_json(d, file)["norm_pix_loss"].is_null());
  EXPECT_NE(to_text(d, file).find("epoch     unknown"), std::string::npos);
}

}  // namespace
}  // namespace sgmae
