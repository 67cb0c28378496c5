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

TEST(ModelJson, TimmsArgumentsSayWhatTheHeadLooksAt) {
  DescribedModel d;
  const auto describe = [&](const json& args) {
    describe_from_folder(
        {{"architecture", "vit_small_patch16_224"}, {"global_pool", "token"}, {"model_args", args}},
        nullptr, d);
  };
  describe({{"global_pool", "max"}});
  EXPECT_EQ(d.pooling, "max");
  EXPECT_THROW(describe({{"pool_include_prefix", true}}), Error);
}

// Of a model that writes what it sees, or that holds a text encoder as well.
TEST(ModelJson, ReadsThePartThatSees) {
  const json vit{{"model_type", "vit"},
                 {"hidden_size", 128},
                 {"num_attention_heads", 4},
                 {"hidden_act", "gelu"},
                 {"image_size", 48}};
  for (const char* key : {"encoder", "vision_config"}) {
    DescribedModel d;
    describe_from_folder({{"model_type", "both"}, {key, vit}, {"decoder", {{"vocab_size", 9}}}},
                         nullptr, d);
    EXPECT_EQ(d.heads, 4);
    EXPECT_EQ(d.height, 48);
    EXPECT_EQ(d.layer_norm_eps, 1e-12);
    json relu = vit;
    relu["hidden_act"] = "relu";
    EXPECT_THROW(describe_from_folder({{key, relu}}, nullptr, d), Error);
  }
}

TEST(ModelJson, ReadsMaesTrainingFiles) {
  DescribedModel d;
  describe_from_training(
      {{"epoch", 799},
       {"args", {{"norm_pix_loss", true}, {"model", "mae_vit_base_patch16_dec512d8b"}}}},
      false, d);
  EXPECT_EQ(d.epoch, 800);
  EXPECT_EQ(d.named_width, 768);
  EXPECT_EQ(d.named_heads, 12);
  EXPECT_EQ(d.named_decoder->heads, 16);
  EXPECT_EQ(d.norm_pix_loss, true);
  DescribedModel other;
  describe_from_training({{"args", {{"model", "resnet50"}}}}, false, other);
  EXPECT_FALSE(other.named_heads || other.epoch || other.norm_pix_loss);
}

// Where a file says its model's name, and how many heads that has.
TEST(ModelJson, NamesOfModelsTellTheirHeads) {
  const auto heads = [](const json& content) {
    DescribedModel d;
    describe_from_training(content, false, d);
    return std::pair{d.named_width.value_or(0), d.named_heads.value_or(0)};
  };
  using P = std::pair<std::int64_t, std::int64_t>;
  EXPECT_EQ(heads({{"arch", "vit_small"}}), P(384, 12));  // MoCo v3
  EXPECT_EQ(heads({{"arch", "vit_base"}}), P(768, 12));
  EXPECT_EQ(heads({{"args", {{"arch", "vit_small"}}}}), P(384, 6));  // DINO
  EXPECT_EQ(heads({{"arch", "vit_small_patch16_224.augreg_in21k"}}), P(384, 6));
  EXPECT_EQ(heads({{"args", {{"model", "deit_tiny_patch16_224"}}}}), P(192, 3));
  EXPECT_EQ(heads({{"arch", "vit_conv_small"}}), P(0, 0));
}

// MAE, DeiT and timm save the number of the last epoch, from 0; the others how many are done.
TEST(ModelJson, EpochsAreCountedAsEachTrainerDoes) {
  const auto epoch = [](const json& content, bool counts_done = false) {
    DescribedModel d;
    describe_from_training(content, counts_done, d);
    return d.epoch;
  };
  EXPECT_EQ(epoch({{"epoch", 299}}), 300);
  EXPECT_EQ(epoch({{"epoch", 299}, {"arch", "vit_base"}, {"version", 2}}), 300);  // timm
  EXPECT_EQ(epoch({{"epoch", 300}, {"arch", "vit_base"}}), 300);    // MoCo v3, PyTorch's example
  EXPECT_EQ(epoch({{"epoch", 100}}, true), 100);                    // DINO
  EXPECT_EQ(epoch({{"meta", {{"epoch", 10}}}, {"epoch", 3}}), 10);  // mmengine
  EXPECT_EQ(epoch({{"epoch", 0}}, true), 0);
}

// Oracle: what the image processors of transformers compute, (pixel * factor - mean) / std, for a
// pixel of 0 .. 255, against our (pixel / 255 * scale - mean) / std.
TEST(ModelJson, ProcessorsSayWhatPixelsBecome) {
  const auto value = [](json more, double pixel) {
    json processor{{"image_mean", {0.5}}, {"image_std", {0.25}}};
    processor.update(more);
    DescribedModel d;
    describe_from_folder({{"model_type", "vit"}}, processor, d);
    return (pixel / 255 * d.pixel_scale - d.mean[0]) / d.std[0];
  };
  EXPECT_NEAR(value(json::object(), 100), (100 / 255.0 - 0.5) / 0.25, 1e-12);
  EXPECT_NEAR(value({{"rescale_factor", 1 / 127.5}}, 100), (100 / 127.5 - 0.5) / 0.25, 1e-12);
  EXPECT_NEAR(value({{"do_rescale", false}, {"rescale_factor", 0.1}}, 100), (100 - 0.5) / 0.25,
              1e-9);
  EXPECT_NEAR(value({{"do_normalize", false}}, 100), 100 / 255.0, 1e-12);
  EXPECT_NEAR(value({{"do_normalize", false}, {"do_rescale", false}}, 100), 100, 1e-9);
  EXPECT_NEAR(value({{"image_mean", 0.5}, {"image_std", 0.25}}, 100), (100 / 255.0 - 0.5) / 0.25,
              1e-12);
}

TEST(ModelJson, RefusesByNameWhatItCannotDo) {
  for (const char* act :
       {"gelu_new", "gelu_pytorch_tanh", "quick_gelu", "silu", "relu", "gelu_fast"})
    EXPECT_NE(complaint({{"hidden_act", act}}).find(act), std::string::npos);
  for (const char* act : {"gelu", "gelu_python"}) EXPECT_EQ(complaint({{"hidden_act", act}}), "");
  EXPECT_NE(complaint({{"hidden_act", 3}}).find("hidden_act 3"), std::string::npos);
  EXPECT_NE(complaint({{"use_swiglu_ffn", true}}).find("use_swiglu_ffn"), std::string::npos);
  EXPECT_NE(complaint({{"patch_size", {16, 8}}}).find("patch_size [16,8]"), std::string::npos);
  EXPECT_EQ(complaint({{"patch_size", {16, 16}}}), "");
  const json timm{{"architecture", "vit_base_patch32_clip_quickgelu_224"}};
  EXPECT_NE(complaint(timm).find("quickgelu"), std::string::npos);
  const auto argument = [](const char* key, const char* value) {
    return complaint({{"architecture", "vit"}, {"model_args", {{key, value}}}});
  };
  EXPECT_NE(argument("act_layer", "gelu_tanh").find("act_layer"), std::string::npos);
  EXPECT_NE(argument("norm_layer", "rmsnorm").find("norm_layer"), std::string::npos);
  EXPECT_EQ(argument("act_layer", "gelu"), "");

  const auto processor = [](const json& settings) {
    DescribedModel d;
    try {
      describe_from_folder({{"model_type", "vit"}}, settings, d);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(processor({{"do_normalize", "no"}}).find("do_normalize \"no\""), std::string::npos);
  EXPECT_NE(processor({{"do_rescale", nullptr}}).find("do_rescale null"), std::string::npos);
  EXPECT_NE(processor({{"rescale_factor", 0}}).find("rescale_factor 0"), std::string::npos);
}

// What comes out otherwise here than there is said.
TEST(ModelJson, RemarksOnImagesMadeOtherwise) {
  DescribedModel vit, bit, timm, plain;
  describe_from_folder({{"model_type", "vit"}},
                       {{"resample", 2}, {"size", {{"height", 32}, {"width", 48}}}}, vit);
  ASSERT_EQ(vit.remarks.size(), 1u);
  EXPECT_NE(vit.remarks[0].find("bilinear"), std::string::npos);
  EXPECT_EQ(vit.input_height, 32);
  EXPECT_EQ(vit.input_width, 48);
  EXPECT_EQ(vit.layer_norm_eps, 1e-12);  // the class's default
  describe_from_folder({{"model_type", "dinov2"}},
                       {{"resample", 3},
                        {"size", {{"shortest_edge", 256}}},
                        {"do_center_crop", true},
                        {"crop_size", 224}},
                       bit);
  ASSERT_EQ(bit.remarks.size(), 1u);
  EXPECT_NE(bit.remarks[0].find("--fit centre_crop"), std::string::npos);
  EXPECT_EQ(bit.input_height, 224);
  EXPECT_EQ(bit.layer_norm_eps, 1e-6);
  describe_from_folder({{"architecture", "vit_small_patch16_224"},
                        {"global_pool", "avg"},
                        {"pretrained_cfg",
                         {{"interpolation", "bilinear"},
                          {"crop_pct", 0.9},
                          {"input_size", {3, 224, 240}},
                          {"mean", 0.5}}}},
                       nullptr, timm);
  EXPECT_EQ(timm.remarks.size(), 2u);
  EXPECT_EQ(timm.named_heads, 6);
  EXPECT_EQ(timm.training_height, 224);
  EXPECT_EQ(timm.training_width, 240);
  EXPECT_EQ(timm.pooling, "avg");
  EXPECT_EQ(timm.mean, std::vector<float>{0.5});
  describe_from_folder({{"architecture", "vit"},
                        {"mean", {0.5}},
                        {"std", {0.25}},
                        {"crop_pct", 0.875},
                        {"interpolation", "bicubic"}},
                       nullptr, plain);  // all at the top, once
  EXPECT_TRUE(plain.remarks.empty());
  EXPECT_EQ(plain.std, std::vector<float>{0.25});
}

TEST(ModelJson, PassesOverWhatHasAnotherType) {
  DescribedModel d;
  for (const json& strange : {json(nullptr), json("x"), json({1, 2}), json(0.5), json(true)}) {
    describe_from_folder(strange, strange, d);
    describe_from_folder({{"image_size", {strange, 8}},
                          {"num_attention_heads", json::array()},
                          {"layer_norm_eps", "small"}},
                         strange, d);
    describe_from_folder({{"pretrained_cfg", strange}, {"model_args", strange}}, strange, d);
    describe_from_training({{"epoch", "last"}, {"args", strange}, {"meta", strange}}, false, d);
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
  EXPECT_THROW(describe_from_training({{"epoch", INT64_MAX}}, false, d), Error);
  EXPECT_THROW(describe_from_training({{"epoch", -7}}, false, d), Error);
  EXPECT_THROW(describe_from_header({{"height", 0}}, d), Error);
}

}  // namespace
}  // namespace sgmae
