// Small models for tests of the survey and its measures, and what a survey of one measure gives.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "sgmae/eval/survey.h"
#include "sgmae/mask/strategy.h"

namespace sgmae {

inline MaeConfig small() {
  return {.height = 24,
          .width = 24,
          .channels = 1,
          .patch_size = 4,
          .encoder = {16, 2, 2},
          .decoder = {16, 1, 2}};
}

inline Subject subject(const Mae& model, std::int64_t epoch = 1, std::size_t last = 0) {
  return {.name = str("epoch ", epoch),
          .encoder = &model.encoder(),
          .mae = &model,
          .normalisation = default_normalisation(1),
          .epoch = epoch,
          .last_of_run = last};
}

inline std::vector<std::int64_t> counting(std::int64_t n) {
  std::vector<std::int64_t> index(n);
  std::iota(index.begin(), index.end(), 0);
  return index;
}

// A run of two checkpoints, five images in batches of three and two, and the taps of one forward
// pass over all of them: what a measure must have made of the batches.
struct SmallRun {
  Mae first{small(), 1}, last{small(), 2};
  at::Tensor pixels = at::randn({5, 1, 24, 24});

  Survey survey(const std::string& measure) const {
    SurveyOptions options;
    options.measures = {measure};
    options.center = GuideCenter::mean;
    Survey survey({subject(first, 1, 1), subject(last, 2, 1)}, options);
    survey.add(pixels.slice(0, 0, 3), {0, 1, 2});
    survey.add(pixels.slice(0, 3), {3, 4});
    return survey;
  }

  MaskPlan plan() const { return random_plan(counting(5), 36, visible_count(36, 0.75), 0, 0); }

  static at::Tensor whole_of(const Mae& model, const at::Tensor& pixels, const std::string& tap) {
    Taps taps({tap});
    model.forward(pixels, whole_image(pixels.size(0), 36), &taps);
    return taps[tap];
  }
  at::Tensor of_first(const std::string& tap) const { return whole_of(first, pixels, tap); }
  at::Tensor of_last(const std::string& tap) const { return whole_of(last, pixels, tap); }
};

inline at::Tensor without_cls(const at::Tensor& tokens) {
  return tokens.slice(1, 1);
}

inline double value(const Survey& survey, const SeriesId& id, double x) {
  return survey.table().curves().at(id).at(x).mean;
}

inline double mean(const at::Tensor& x) {
  return x.mean().item<double>();
}

// The survey sees images in batches, which rounds sums differently.
constexpr double kBatches = 1e-5;

// A measure that asks for no pass and fills no chart.
inline void expect_only_a_picture(const std::string& name, bool cuts) {
  const auto found = std::find_if(measures().begin(), measures().end(),
                                  [&](const Measure& m) { return m.name == name; });
  ASSERT_NE(found, measures().end());
  EXPECT_EQ(found->cuts, cuts);
  const Survey survey = SmallRun().survey(name);
  EXPECT_EQ(survey.images(), 5);
  EXPECT_TRUE(survey.table().curves().empty());
  EXPECT_TRUE(survey.metrics().empty());
}

}  // namespace sgmae
