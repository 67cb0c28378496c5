// Oracle: what was put in, and JSON spoiled by hand.
#include "sgmae/checkpoint/model_info.h"

#include <gtest/gtest.h>

#include "sgmae/base/error.h"
#include "sgmae/base/version.h"
#include "sgmae/checkpoint/model_json.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

using nlohmann::json;

ModelInfo full() {
  ModelInfo info;
  info.mean = {0.485f, 0.456f, 0.406f};
  info.std = {0.229f, 0.224f, 0.225f};
  info.epoch = 20;
  info.step = 130;
  info.guide = {{"guide_layer", -2}, {"start", 5}};
  info.class_names = {"ant", "bee"};
  return info;
}

TEST(ModelInfo, GoesThroughTextExactly) {
  const ModelInfo info = full(), read = model_info_from_json(json::parse(to_json(info).dump()));
  EXPECT_EQ(read.mean, info.mean);
  EXPECT_EQ(read.std, info.std);
  EXPECT_EQ(read.epoch, 20);
  EXPECT_EQ(read.step, 130);
  EXPECT_EQ(read.guide, info.guide);
  EXPECT_EQ(read.class_names, info.class_names);
  EXPECT_EQ(read.version, version);
}

TEST(ModelInfo, LeavesOutWhatThereIsNot) {
  const json j = to_json(ModelInfo());
  EXPECT_FALSE(j.contains("guide"));
  EXPECT_FALSE(j.contains("classes"));
  EXPECT_TRUE(model_info_from_json(j).guide.is_null());
}

TEST(ModelInfo, NamesWhatIsMissingOrUnfit) {
  for (const auto& [key, value] : {std::pair<const char*, json>{"epoch", nullptr},
                                   {"step", "many"},
                                   {"epoch", 0.5},
                                   {"mean", "grey"},
                                   {"std", {0.5, "x"}},
                                   {"version", 3},
                                   {"classes", {1, 2}}}) {
    json spoiled = to_json(full());
    spoiled[key] = value;
    try {
      model_info_from_json(spoiled);
      ADD_FAILURE() << key;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::checkpoint);
      EXPECT_NE(std::string(error.what()).find(str("'", key, "'")), std::string::npos)
          << error.what();
    }
  }
  EXPECT_THROW(model_info_from_json(json::array()), Error);
}

// Files of models without such things stay as they were.
TEST(ModelInfo, SaysOfAttentionWhatIsThere) {
  VitConfig config = encoder_config(tiny_mae());
  for (const char* key : {"class_token", "position_embedding", "final_norm", "attention"})
    EXPECT_FALSE(to_json(config).contains(key)) << key;
  EXPECT_TRUE(attention_from_json(to_json(config)).empty());
  config.class_token = config.position_embedding = config.final_norm = false;
  config.attention = {{14, RelativePosition::decomposed}, {0, RelativePosition::bias}, {7, {}}};
  const json j = to_json(config);
  for (const char* key : {"class_token", "position_embedding", "final_norm"})
    EXPECT_EQ(j[key], false) << key;
  EXPECT_EQ(attention_from_json(json::parse(j.dump())), config.attention);
}

TEST(ModelInfo, RefusesUnfitAttention) {
  for (const char* text : {"1", "[1]", "[{}]", R"([{"window": 3}])",
                           R"([{"window": -1, "relative_position": "none"}])",
                           R"([{"window": 9007199254740993, "relative_position": "none"}])",
                           R"([{"window": 3, "relative_position": "x"}])",
                           R"([{"window": 3, "relative_position": 1}])",
                           R"([{"window": 0.5, "relative_position": "bias"}])"}) {
    try {
      attention_from_json({{"attention", json::parse(text)}});
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::checkpoint) << text;
    }
  }
}

// Other readers find sizes under these names.
TEST(ModelInfo, ConfigurationsSayEverySize) {
  const json mae = to_json(tiny_mae());
  for (const auto& [key, value] : {std::pair<const char*, json>{"height", 16},
                                   {"width", 16},
                                   {"channels", 1},
                                   {"patch_size", 8},
                                   {"dim", 16},
                                   {"depth", 1},
                                   {"heads", 2},
                                   {"decoder_dim", 8},
                                   {"decoder_depth", 1},
                                   {"decoder_heads", 2},
                                   {"mlp_ratio", 4},
                                   {"norm_pix_loss", false}})
    EXPECT_EQ(mae.at(key), value) << key;
  VitConfig config = encoder_config(tiny_mae());
  config.classes = 3;
  for (const auto& [pooling, name] : {std::pair{Pooling::cls, "cls"},
                                      {Pooling::mean, "mean"},
                                      {Pooling::normed_mean, "normed_mean"}}) {
    config.pooling = pooling;
    EXPECT_EQ(to_json(config).at("pooling"), name);
  }
  EXPECT_EQ(to_json(config).at("mlp_hidden"), 64);
  EXPECT_EQ(to_json(config).at("classes"), 3);
}

}  // namespace
}  // namespace sgmae
