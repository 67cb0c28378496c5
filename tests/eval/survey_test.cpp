// Oracle: the measures called one by one on the tensors of one forward pass (each of them has its
// own oracle in tests/analysis).
#include "sgmae/eval/survey.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <limits>
#include <numeric>
#include <utility>

#include "sgmae/analysis/attention_shape.h"
#include "sgmae/analysis/exploitation.h"
#include "sgmae/analysis/fourier.h"
#include "sgmae/analysis/relations.h"
#include "sgmae/analysis/separation.h"
#include "sgmae/analysis/variance.h"
#include "sgmae/mask/guide.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/ncut/graph.h"
#include "sgmae/nn/vit.h"
#include "tests/data/folder.h"

namespace sgmae {
namespace {

MaeConfig small() {
  return {.height = 24,
          .width = 24,
          .channels = 1,
          .patch_size = 4,
          .encoder = {16, 2, 2},
          .decoder = {16, 1, 2}};
}

Subject subject(const Mae& model, std::int64_t epoch = 1, std::size_t last = 0) {
  return {.name = str("epoch ", epoch),
          .encoder = &model.encoder(),
          .mae = &model,
          .normalisation = default_normalisation(1),
          .epoch = epoch,
          .last_of_run = last};
}

SurveyOptions everything() {
  SurveyOptions options;
  options.center = GuideCenter::mean;
  for (const Measure& measure : measures()) options.measures.insert(measure.name);
  return options;
}

std::vector<std::int64_t> counting(std::int64_t n) {
  std::vector<std::int64_t> index(n);
  std::iota(index.begin(), index.end(), 0);
  return index;
}

double value(const Survey& survey, const SeriesId& id, double x) {
  return survey.table().curves().at(id).at(x).mean;
}

double mean(const at::Tensor& x) {
  return x.mean().item<double>();
}

// 1e-5: the survey sees images in batches, which rounds sums differently.
TEST(Survey, GivesWhatTheMeasuresGiveOneByOne) {
  const Mae first(small(), 1), last(small(), 2);
  const at::Tensor pixels = at::randn({5, 1, 24, 24});
  Survey survey({subject(first, 1, 1), subject(last, 2, 1)}, everything());
  survey.add(pixels.slice(0, 0, 3), {0, 1, 2});
  survey.add(pixels.slice(0, 3), {3, 4});
  EXPECT_EQ(survey.images(), 5);

  const std::vector<std::string> names{"encoder.0.attention",     "encoder.1.attention",
                                       "encoder.1.attention_out", "encoder.0.attention_out",
                                       "encoder.1.block_out",     "encoder.embed",
                                       "encoder.1.attention_add", "decoder.0.attention",
                                       "decoder.0.block_out",     "decoder.0.attention_out"};
  Taps a(names), b(names);
  first.forward(pixels, whole_image(5, 36), &a);
  last.forward(pixels, whole_image(5, 36), &b);
  const auto patches = [](const Taps& taps, const char* name) { return taps[name].slice(1, 1); };
  const SeriesId encoder{.metric = "", .model = 0, .part = "encoder"};
  const auto of = [&](const char* metric, const char* label = "") {
    SeriesId id = encoder;
    id.metric = metric;
    id.label = label;
    return id;
  };

  const at::Tensor tokens = patches(a, "encoder.1.block_out");
  EXPECT_NEAR(value(survey, of("feature_variance"), 1), mean(feature_variance(tokens)), 1e-5);
  EXPECT_NEAR(value(survey, of("similarity_variance"), 1),
              mean(similarity_variance(similarity(tokens))), 1e-5);
  EXPECT_NEAR(value(survey, of("similarity_to_mean"), 1), mean(similarity_to_mean(tokens)), 1e-5);

  const at::Tensor p = patch_attention(a["encoder.0.attention"]);
  EXPECT_NEAR(value(survey, of("nmi"), 0), mean(attention_nmi(p)), 1e-5);
  SeriesId head = of("attention_distance_heads");
  head.head = 1;
  EXPECT_NEAR(value(survey, head, 0), mean(attention_distance(p, 6, 4).select(1, 1)), 1e-4);

  const at::Tensor m = similarity(patches(a, "encoder.1.attention_out"));
  const at::Tensor reference = similarity(patches(b, "encoder.1.attention_out"));
  EXPECT_NEAR(value(survey, of("divergence_similarity"), 1),
              mean(relation_divergence(m.softmax(-1), reference.softmax(-1))), 1e-5);
  EXPECT_NEAR(value(survey, of("divergence_attention"), 1),
              mean(relation_divergence(attention_relation(a["encoder.1.attention"]),
                                       attention_relation(b["encoder.1.attention"]))),
              1e-5);
  GuideOptions mean_centred;
  mean_centred.center = GuideCenter::mean;
  const at::Tensor side =  // the last checkpoint's, at the second-last block
      guide_from_features(patches(b, "encoder.0.attention_out"), 0, mean_centred).object_side;
  EXPECT_NEAR(value(survey, of("separation_similarity", "within"), 1),
              mean(separation(m, side).intra), 1e-5);
  EXPECT_NEAR(value(survey, of("separation_similarity", "between"), 1),
              mean(separation(m, side).inter), 1e-5);

  const auto highest = [](const at::Tensor& x) {
    return mean(relative_log_amplitude(x, 6, 6).select(1, 2));
  };
  EXPECT_NEAR(value(survey, of("fourier_depth", "after blocks"), 0),
              highest(patches(a, "encoder.embed")), 1e-4);
  EXPECT_NEAR(value(survey, of("fourier_depth", "after attention"), 1.5),
              highest(patches(a, "encoder.1.attention_add")), 1e-4);
  EXPECT_NEAR(value(survey, of("fourier_depth", "after blocks"), 2), highest(tokens), 1e-4);

  const MaskPlan plan = random_plan(counting(5), 36, visible_count(36, 0.75), 0, 0);
  Taps masked({"decoder.0.attention", "decoder.0.block_out"});
  const MaeOutput output = first.forward(pixels, plan, &masked);
  const SeriesId decoder{
      .metric = "exploitation", .model = 0, .part = "decoder", .label = "mask tokens"};
  EXPECT_NEAR(value(survey, decoder, 0),
              exploitation({masked["decoder.0.attention"]}, mask_of(plan)).rollout.masked[0], 1e-5);
  EXPECT_NEAR(
      value(survey, {.metric = "mask_token_variance", .model = 0, .part = "decoder"}, 0),
      mean(mask_token_variance(patches(masked, "decoder.0.block_out"), mask_of(plan)).direction),
      1e-5);
  // Of the last checkpoint's curve, the first's epoch; all images weigh alike, as in the loss.
  EXPECT_NEAR(
      value(survey, {.metric = "reconstruction_error", .model = 1, .label = "masked patches"}, 1),
      output.loss, 1e-5);
}

TEST(Survey, TheLastCheckpointIsItsOwnReference) {
  const Mae first(small(), 1), last(small(), 2);
  SurveyOptions options;
  options.measures = {"divergence"};
  Survey survey({subject(last, 2, 0), subject(first, 1, 0)}, options);
  survey.add(at::randn({2, 1, 24, 24}), {0, 1});
  EXPECT_EQ(value(survey, {.metric = "divergence_attention", .model = 0, .part = "decoder"}, 0), 0);
  EXPECT_GT(value(survey, {.metric = "divergence_attention", .model = 1, .part = "decoder"}, 0), 0);
  const auto json = survey.metrics();
  // Over epochs: one curve per part and block, epochs ascending, ending at 0.
  const auto& series = json["divergence_attention_by_epoch"]["series"];
  ASSERT_EQ(series.size(), 3u);
  EXPECT_EQ(series[0]["x"], "epoch");
  EXPECT_EQ(series[0]["at"], (std::vector<double>{1, 2}));
  EXPECT_EQ(series[0]["values"][1], 0.0);
  EXPECT_FALSE(json.contains("nmi"));
}

TEST(Survey, MeasuresHowMasksMeetObjects) {
  const Mae model(small(), 1);
  SurveyOptions options;
  options.measures = {"coverage"};
  options.center = GuideCenter::mean;
  Survey survey({subject(model)}, options);
  // Everything is object: its hidden share is that of the mask, and nothing lies outside of it.
  std::vector<std::optional<MarkedObjects>> objects(3);
  objects[0] = MarkedObjects{{{0, 0, 1, 1}}, {}};
  objects[2] = objects[0];
  survey.add(at::randn({3, 1, 24, 24}), {0, 1, 2}, objects);
  EXPECT_EQ(survey.images_with_objects(), 2);
  for (const char* mask : {"informed mask", "random mask"}) {
    const auto& moments = survey.table().curves().at(
        {.metric = "hidden_share", .model = 0, .part = "encoder", .label = mask});
    EXPECT_EQ(moments.at(0).count, 2);
    EXPECT_NEAR(moments.at(0).mean, 0.75, 1e-6);
  }
  const double iou = value(survey, {.metric = "object_iou", .model = 0, .part = "encoder"}, 1);
  EXPECT_GT(iou, 0);
  EXPECT_LT(iou, 1);
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

TEST(LearnPositionMeans, AreMeansOverAllImagesAndWhatCutsTakeOff) {
  const Mae model(small(), 1);
  const at::Tensor pixels = at::randn({5, 1, 24, 24});
  std::vector<Subject> subjects{subject(model)};
  std::int64_t at = 0;
  learn_position_means(subjects, GuideFeatures::attention_out, [&](at::Tensor& some) {
    some = pixels.slice(0, at, at + 3);  // three images, then two
    return std::exchange(at, at + 3) < 5;
  });
  ASSERT_EQ(subjects[0].position_mean.size(), 3u);
  Taps taps({"encoder.1.attention_out", "decoder.0.attention_out"});
  model.forward(pixels, whole_image(5, 36), &taps);
  const at::Tensor x = taps["encoder.1.attention_out"].slice(1, 1);
  const at::Tensor mean = subjects[0].position_mean.at("encoder.1");
  EXPECT_LT((mean - x.mean(0)).abs().max().item<double>(), 1e-5);  // fp32 sums
  EXPECT_EQ(subjects[0].position_mean.at("decoder.0").sizes(), (std::vector<std::int64_t>{36, 16}));
  const Guide guide = cut_of(subjects[0], "encoder.1", x, SurveyOptions());
  EXPECT_TRUE(guide.similarity.equal(similarity(x - mean)));
}

TEST(Renormalised, IsWhatTheOtherModelWouldHaveRead) {
  const Normalisation a{{0.5f}, {0.25f}}, b{{0.1f}, {0.5f}};
  const at::Tensor raw = at::tensor({0.0f, 0.3f, 1.0f}).view({1, 1, 1, 3});
  EXPECT_LT((renormalised((raw - 0.5) / 0.25, a, b) - (raw - 0.1) / 0.5).abs().max().item<double>(),
            1e-6);
}

}  // namespace
}  // namespace sgmae
