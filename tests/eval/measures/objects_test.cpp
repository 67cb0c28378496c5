// Oracles: objects that cover everything, of which a mask hides its own share; guides made one by
// one; relevance that knows the object.
#include <ATen/ops/full.h>

#include <limits>

#include "sgmae/analysis/coverage.h"
#include "sgmae/mask/patch_error.h"
#include "tests/eval/survey_models.h"

namespace sgmae {
namespace {

constexpr GridBox kBox{0.1, 0.3, 0.6, 0.9};

MarkedObjects marked(const GridBox& box) {
  return {{box}, {}};
}

std::vector<float> cover() {
  return object_cover(marked(kBox), 6, 6);
}

SurveyOptions options() {
  SurveyOptions options;
  options.measures = {"objects"};
  return options;
}

TEST(ObjectsMeasure, HoldsEveryRuleAgainstTheObjects) {
  const Mae model(small(), 1);
  const at::Tensor pixels = at::randn({3, 1, 24, 24});
  Survey survey({subject(model)}, options());
  const std::vector<std::optional<MarkedObjects>> objects{marked(kBox), std::nullopt, marked(kBox)};
  survey.add(pixels, {4, 5, 6}, objects);
  const at::Tensor errors = patch_errors(model, pixels, {4, 5, 6}, 0.75, 0);
  const at::Tensor x = without_cls(SmallRun::whole_of(model, pixels, "encoder.1.attention_out"));
  const std::vector<float> object = cover();
  double best_iou = 0;
  for (const auto& [name, rule] : object_rules()) {
    const GuideOptions rules{.object = rule};
    const at::Tensor evidence =
        asks_for_error(rule) ? errors : object_evidence(model.encoder(), pixels, rules);
    const Guide guide = guide_from_features(x, 6, rules, {}, evidence);
    const at::Tensor relevant = guide.relevance.contiguous(), side = guide.object_side.contiguous();
    double auc = 0, iou = 0, wrong = 0;
    for (const int image : {0, 2}) {
      const std::span<const std::uint8_t> here{side[image].data_ptr<std::uint8_t>(), 36};
      std::vector<std::uint8_t> there(36);
      for (int p = 0; p < 36; ++p) there[p] = 1 - here[p];
      auc += relevance_auc({relevant[image].data_ptr<float>(), 36}, object) / 2;
      iou += side_iou(here, object) / 2;
      wrong += side_iou(there, object) > side_iou(here, object) ? 0.5 : 0;
    }
    const auto found = [&](const char* metric) {
      return value(survey, {.metric = metric, .model = 0, .part = "encoder", .label = name}, 1);
    };
    EXPECT_NEAR(found("relevance_auc_by_rule"), auc, kBatches) << name;
    EXPECT_NEAR(found("object_iou_by_rule"), iou, kBatches) << name;
    EXPECT_NEAR(found("wrong_side_by_rule"), wrong, kBatches) << name;
    if (rule == ObjectRule::hardest)  // the chosen one stands by itself too
      EXPECT_NEAR(found("relevance_auc"), auc, kBatches);
    else
      best_iou = std::max(best_iou, iou);
  }
  const SeriesId better{
      .metric = "object_iou", .model = 0, .part = "encoder", .label = "better side of the cut"};
  EXPECT_GE(value(survey, better, 1), best_iou - kBatches);
}

TEST(ObjectsMeasure, SetsMapsBesideThoseOfAnotherImage) {
  const Mae model(small(), 1);
  const at::Tensor pixels = at::randn({3, 1, 24, 24});
  Survey survey({subject(model)}, options());
  survey.add(pixels.slice(0, 0, 2), {4, 5},
             std::vector<std::optional<MarkedObjects>>(2, marked(kBox)));
  survey.add(pixels.slice(0, 2), {6}, std::vector<std::optional<MarkedObjects>>(1, marked(kBox)));
  const at::Tensor x = without_cls(SmallRun::whole_of(model, pixels, "encoder.1.attention_out"));
  const Guide guide =
      guide_from_features(x, 6, {}, {}, patch_errors(model, pixels, {4, 5, 6}, 0.75, 0));
  const std::vector<float> object = cover();
  const at::Tensor relevant = guide.relevance.contiguous();
  double auc = 0, bias = 0;
  const at::Tensor places =
      guide.object_side.to(at::kDouble) - guide.object_side.to(at::kDouble).mean(1, true);
  for (const int image : {1, 2}) {  // the first has none before it
    auc += relevance_auc({relevant[image - 1].data_ptr<float>(), 36}, object) / 2;
    bias += (places[image] * places[image - 1]).mean().item<double>() / 2;
  }
  const auto& curves = survey.table().curves();
  const Moments& other = curves
                             .at({.metric = "relevance_auc",
                                  .model = 0,
                                  .part = "encoder",
                                  .label = "map of another image"})
                             .at(1);
  EXPECT_EQ(other.count, 2);
  EXPECT_NEAR(other.mean, auc, kBatches);
  const SeriesId positions{
      .metric = "position_bias", .model = 0, .part = "encoder", .label = "hardest"};
  EXPECT_NEAR(value(survey, positions, 1), bias, kBatches);
}

TEST(ObjectsMeasure, IsHowMasksMeetObjects) {
  const Mae model(small(), 1);
  Survey survey({subject(model)}, options());
  std::vector<std::optional<MarkedObjects>> objects(3);
  objects[0] = marked({0, 0, 1, 1});
  objects[2] = objects[0];
  survey.add(at::randn({3, 1, 24, 24}), {0, 1, 2}, objects);
  EXPECT_EQ(survey.images_with_objects(), 2);
  for (const char* mask : {"informed mask", "random mask"}) {
    const auto& moments = survey.table().curves().at(
        {.metric = "hidden_share", .model = 0, .part = "encoder", .label = mask});
    EXPECT_EQ(moments.at(0).count, 2);
    EXPECT_NEAR(moments.at(0).mean, 0.75, 1e-6);
  }
}

// A map that is the object itself.
TEST(ObjectsMeasure, JudgesStoredMapsAsTheyWereUsed) {
  const Mae model(small(), 1);
  Survey survey({subject(model)}, options());
  std::vector<float> object = cover();
  at::Tensor relevance = at::full({2, 36}, std::numeric_limits<float>::quiet_NaN());
  std::copy(object.begin(), object.end(), relevance.data_ptr<float>());
  survey.add(at::randn({2, 1, 24, 24}), {0, 1},
             std::vector<std::optional<MarkedObjects>>(2, marked(kBox)), {{0, 7, relevance}});
  const auto& curves = survey.table().curves();
  const Moments& auc = curves.at({.metric = "stored_auc", .model = 0}).at(7);
  EXPECT_EQ(auc.count, 1) << "the second image has no map";
  EXPECT_NEAR(auc.mean, relevance_auc(object, object), 1e-9);
  const auto hidden = [&](const char* mask) {
    return curves.at({.metric = "stored_hidden_share", .model = 0, .label = mask}).at(7).mean;
  };
  EXPECT_GT(hidden("informed mask"), 0.85);  // one of the two is masked at random
  EXPECT_NEAR(hidden("random mask"), 0.75, 0.25);
}

TEST(ObjectsMeasure, OfAnEncoderAloneDoesWithoutErrors) {
  const Mae model(small(), 1);
  Subject alone = subject(model);
  alone.mae = nullptr;
  Survey survey({alone}, options());
  survey.add(at::randn({2, 1, 24, 24}), {0, 1},
             std::vector<std::optional<MarkedObjects>>(2, marked(kBox)));
  const auto has = [&](const char* rule) {
    return survey.table().curves().count(
               {.metric = "object_iou_by_rule", .model = 0, .part = "encoder", .label = rule}) > 0;
  };
  EXPECT_FALSE(has("hardest"));
  EXPECT_FALSE(has("error"));
  EXPECT_TRUE(has("eigenvector"));
  EXPECT_TRUE(survey.table().curves().count(
      {.metric = "hidden_share", .model = 0, .part = "encoder", .label = "informed mask"}))
      << "by the paper's rule";
}

TEST(ObjectsMeasure, OfImagesWithoutObjectsAsksForNothing) {
  EXPECT_TRUE(SmallRun().survey("objects").table().curves().empty());
}

}  // namespace
}  // namespace sgmae
