// Oracle: each image's values by a measure made for the test, which sees what a forward pass gives;
// the measures themselves have tests in tests/eval/measures.
#include "sgmae/eval/survey.h"

#include <ATen/ops/tensor.h>

#include <limits>

#include "sgmae/ncut/graph.h"
#include "sgmae/nn/vit.h"
#include "tests/data/folder.h"
#include "tests/eval/survey_models.h"

namespace sgmae {
namespace {

SurveyOptions everything() {
  SurveyOptions options;
  options.center = GuideCenter::mean;
  for (const Measure& measure : measures()) options.measures.insert(measure.name);
  return options;
}

// A whole measure, as a file of eval/measures/ would have it: the largest value of each block's
// output, and how many patches of an image the masked pass hides.
Measure largest() {
  return {.name = "largest",
          .order = 1,
          .summary = "the largest value",
          .charts = {along_training(may_be_negative({"largest", "Largest value", "", "Good: 9."})),
                     {"hidden", "Hidden patches", "", "", "patches"}},
          .taps = {"block_out"},
          .see =
              [](const BlockView& block) {
                block.add("largest", "", block.patches("block_out").amax({1, 2}));
              },
          .see_output =
              [](const Scene& scene, const MaeOutput&, const at::Tensor& mask) {
                scene.table.add({.metric = "hidden", .model = scene.model}, 0, mask.sum(1));
              }};
}

TEST(Survey, TakesAMeasureItHasNeverHeardOf) {
  const SmallRun run;
  SurveyOptions options;
  options.measures = {"largest"};
  Survey survey({subject(run.first, 1, 1), subject(run.last, 2, 1)}, options, {largest()});
  survey.add(run.pixels.slice(0, 0, 3), {0, 1, 2});
  survey.add(run.pixels.slice(0, 3), {3, 4});
  EXPECT_EQ(survey.images(), 5);
  for (const std::string block : {"encoder.0", "encoder.1", "decoder.0"})
    EXPECT_NEAR(value(survey, {.metric = "largest", .model = 0, .part = block.substr(0, 7)},
                      block.back() - '0'),
                mean(without_cls(run.of_first(block + ".block_out")).amax({1, 2})), kBatches);
  EXPECT_EQ(value(survey, {.metric = "hidden", .model = 1}, 0), 27);  // 75 % of 36
  const auto json = survey.metrics();
  EXPECT_EQ(json["largest"]["title"], "Largest value");
  EXPECT_EQ(json["largest_by_epoch"]["good"], "Good: 9.");
  EXPECT_TRUE(json["largest"]["may_be_negative"]);
  EXPECT_FALSE(json["hidden"]["may_be_negative"]);
  EXPECT_EQ(json["largest"]["series"].size(), 4u);  // two models, encoder and decoder
  EXPECT_EQ(json["largest_by_epoch"]["series"].size(), 3u);
  EXPECT_FALSE(json.contains("nmi"));
}

TEST(Survey, LooksAtEncodersOfAnyFamily) {
  VitConfig config;
  config.height = config.width = 24;
  config.channels = 1;
  config.patch_size = 4;
  config.size = {16, 2, 2};
  config.mlp_hidden = 32;
  config.layer_scale = true;
  config.registers = 3;
  const Vit vit(config, 1);
  SurveyOptions options = everything();
  for (const Measure& measure : measures())
    if (measure.needs_decoder) options.measures.erase(measure.name);
  Survey survey({{.name = "vit",
                  .encoder = &vit.encoder(),
                  .mae = nullptr,
                  .normalisation = default_normalisation(1),
                  .epoch = {},
                  .last_of_run = 0}},
                options);
  survey.add(at::randn({2, 1, 24, 24}), {0, 1});
  const auto json = survey.metrics();
  EXPECT_EQ(json["nmi"]["series"].size(), 1u);
  EXPECT_EQ(json["nmi"]["series"][0]["at"].size(), 2u);
  EXPECT_FALSE(json.contains("exploitation"));
  EXPECT_FALSE(json.contains("nmi_by_epoch"));
}

TEST(Survey, RefusesWhatCannotBeCompared) {
  const Mae model(small(), 1);
  MaeConfig other_size = small(), other_grid = small();
  other_size.height = 16;
  other_grid.patch_size = 8;
  const Mae larger(other_size, 1), coarser(other_grid, 1);
  EXPECT_NE(error_of(ExitCode::usage,
                     [&] {
                       Survey({subject(model), subject(larger, 2, 1)}, everything());
                     })
                .find("1x16x24"),
            std::string::npos);
  EXPECT_NE(error_of(ExitCode::usage,
                     [&] {
                       Survey({subject(model, 1, 1), subject(coarser, 2, 1)}, everything());
                     })
                .find("grids"),
            std::string::npos);
  Subject encoder_only = subject(model);
  encoder_only.mae = nullptr;
  SurveyOptions options;
  options.measures = {"exploitation"};
  EXPECT_NE(
      error_of(ExitCode::checkpoint, [&] { Survey({encoder_only}, options); }).find("no decoder"),
      std::string::npos);
  options = everything();
  options.guide_layer = 2;
  error_of(ExitCode::usage, [&] { Survey({subject(model)}, options); });
}

TEST(Survey, RefusesAttentionThatIsNotFinite) {
  Mae model(small(), 1);
  for (Parameter& p : model.parameters())
    if (p.name == "blocks.1.attn.qkv.weight")
      p.value[0][0] = std::numeric_limits<float>::quiet_NaN();
  model.parameters_changed();
  SurveyOptions options;
  options.measures = {"attention"};
  Survey survey({subject(model)}, options);
  EXPECT_NE(error_of(ExitCode::checkpoint,
                     [&] {
                       survey.add(at::randn({2, 1, 24, 24}), {0, 1});
                     })
                .find("attention is not finite"),
            std::string::npos);
}

TEST(PositionMeans, AreMeansOverAllImagesAndWhatCutsTakeOff) {
  const Mae model(small(), 1);
  const at::Tensor pixels = at::randn({5, 1, 24, 24});
  std::vector<Subject> subjects{subject(model)};
  PositionMeans means(subjects, GuideFeatures::attention_out);
  means.add(pixels.slice(0, 0, 3));
  means.add(pixels.slice(0, 3));
  means.hand_to(subjects);
  ASSERT_EQ(subjects[0].position_mean.size(), 3u);
  Taps taps({"encoder.1.attention_out", "decoder.0.attention_out"});
  model.forward(pixels, whole_image(5, 36), &taps);
  const at::Tensor x = taps["encoder.1.attention_out"].slice(1, 1);
  const at::Tensor mean = subjects[0].position_mean.at("encoder.1");
  EXPECT_LT((mean - x.mean(0)).abs().max().item<double>(), 1e-5);  // fp32 sums
  EXPECT_EQ(subjects[0].position_mean.at("decoder.0").sizes(), (std::vector<std::int64_t>{36, 16}));
  SurveyOptions by_position;
  by_position.center = GuideCenter::position;
  EXPECT_TRUE(centred_features(subjects[0], "encoder.1", x, by_position).equal(x - mean));
}

TEST(Renormalised, IsWhatTheOtherModelWouldHaveRead) {
  const Normalisation a{{0.5f}, {0.25f}}, b{{0.1f}, {0.5f}};
  const at::Tensor raw = at::tensor({0.0f, 0.3f, 1.0f}).view({1, 1, 1, 3});
  EXPECT_LT((renormalised((raw - 0.5) / 0.25, a, b) - (raw - 0.1) / 0.5).abs().max().item<double>(),
            1e-6);
}

}  // namespace
}  // namespace sgmae
