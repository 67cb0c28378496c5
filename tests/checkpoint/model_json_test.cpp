// Oracle: JSON written out by hand, as transformers, timm and MAE write it.
#include "sgmae/checkpoint/model_json.h"

#include <gtest/gtest.h>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

using nlohmann::json;

std::string complaint(const json& config) {
  DescribedModel described;
  try {
    describe_from_folder(config, nullptr, described);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::checkpoint);
    return error.what();
  }
  return "";
}

TEST(ModelJson, ReadsTransformersFolders) {
  DescribedModel d;
  describe_from_folder({{"image_size", {64, 96}},
                        {"num_attention_heads", 3},
                        {"decoder_num_attention_heads", 6},
                        {"layer_norm_eps", 1e-12},
                        {"norm_pix_loss", true}},
                       {{"image_mean", {0.5, 0.25, 1}}, {"image_std", {1, 1, 1}}}, d);
  EXPECT_EQ(d.height, 64);
  EXPECT_EQ(d.width, 96);
  EXPECT_EQ(d.heads, 3);
  EXPECT_EQ(d.decoder_heads, 6);
  EXPECT_EQ(d.layer_norm_eps, 1e-12);
  EXPECT_EQ(d.norm_pix_loss, true);
  EXPECT_EQ(d.mean, (std::vector<float>{0.5, 0.25, 1}));
  describe_from_folder({{"image_size", 224}}, nullptr, d);
  EXPECT_EQ(d.height, 224);
  EXPECT_EQ(d.width, 224);
}

TEST(ModelJson, ReadsTimmsConfig) {
  DescribedModel d;
  describe_from_folder({{"architecture", "vit_small_patch16_224"},
                        {"pretrained_cfg", {{"mean", {0.5}}, {"std", {0.25}}}}},
                       nullptr, d);
  EXPECT_EQ(d.mean, std::vector<float>{0.5});
  EXPECT_EQ(d.std, std::vector<float>{0.25});
  EXPECT_FALSE(d.height);
}

TEST(ModelJson, ReadsMaesTrainingFiles) {
  DescribedModel d;
  describe_from_training(
      {{"epoch", 799},
       {"args", {{"norm_pix_loss", true}, {"model", "mae_vit_base_patch16_dec512d8b"}}}},
      d);
  EXPECT_EQ(d.epoch, 800);
  EXPECT_EQ(d.heads, 12);
  EXPECT_EQ(d.decoder_heads, 16);
  EXPECT_EQ(d.norm_pix_loss, true);
  DescribedModel other;
  describe_from_training({{"args", {{"model", "resnet50"}}}}, other);
  EXPECT_FALSE(other.heads || other.epoch || other.norm_pix_loss);
}

TEST(ModelJson, PassesOverWhatHasAnotherType) {
  DescribedModel d;
  for (const json& strange : {json(nullptr), json("x"), json({1, 2}), json(0.5), json(true)}) {
    describe_from_folder(strange, strange, d);
    describe_from_folder({{"image_size", {strange, 8}},
                          {"num_attention_heads", json::array()},
                          {"layer_norm_eps", "small"},
                          {"pretrained_cfg", strange}},
                         strange, d);
    describe_from_training({{"epoch", "last"}, {"args", strange}}, d);
    describe_from_header(strange, d);
  }
  EXPECT_FALSE(d.height || d.heads || d.epoch || d.layer_norm_eps);
  EXPECT_TRUE(d.mean.empty());
}

// Sizes are multiplied, and epochs counted on.
TEST(ModelJson, RefusesNumbersThatOverflow) {
  for (const json& side : {json(0), json(-16), json(INT64_MAX), json(UINT64_MAX),
                           json(largest_side + 1), json({16, INT64_MAX})})
    EXPECT_NE(complaint({{"image_size", side}}).find("have a side of"), std::string::npos) << side;
  EXPECT_EQ(complaint({{"image_size", largest_side}}), "");
  DescribedModel d;
  EXPECT_THROW(describe_from_training({{"epoch", INT64_MAX}}, d), Error);
  EXPECT_THROW(describe_from_training({{"epoch", -7}}, d), Error);
  EXPECT_THROW(describe_from_header({{"height", 0}}, d), Error);
}

}  // namespace
}  // namespace sgmae
