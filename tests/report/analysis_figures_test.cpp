// Oracle: what must be there: a figure for each measure that has one, a panel per image and model.
#include "sgmae/report/analysis_figures.h"

#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

MaeConfig small() {
  return {.height = 16,
          .width = 24,
          .channels = 3,
          .patch_size = 4,
          .encoder = {16, 2, 2},
          .decoder = {16, 1, 2}};
}

Subject subject(const Mae& model, const std::string& name) {
  return {.name = name,
          .encoder = &model.encoder(),
          .mae = &model,
          .normalisation = default_normalisation(3),
          .epoch = {},
          .last_of_run = 0};
}

TEST(AnalysisFigures, ThereIsOneForEveryMeasureThatHasOne) {
  const Mae a(small(), 1), b(small(), 2);
  SurveyOptions options;
  options.center = GuideCenter::mean;
  for (const Measure& measure : measures()) options.measures.insert(measure.name);
  const std::vector<Figure> figures = analysis_figures(
      {subject(a, "a"), subject(b, "b")}, at::randn({3, 3, 16, 24}), options, {.images = 2});
  std::vector<std::string> files;
  for (const Figure& figure : figures) {
    files.push_back(figure.file);
    EXPECT_FALSE(figure.title.empty());
    EXPECT_FALSE(figure.caption.empty());
    EXPECT_EQ(figure.image.pixels.size(),
              static_cast<std::size_t>(figure.image.width) * figure.image.height * 3);
  }
  EXPECT_EQ(files,
            (std::vector<std::string>{"relations.png", "clusters.png", "tsne.png", "masks-0.png",
                                      "masks-1.png", "rollout.png", "error.png"}));
  // Input and two models of 24 x 16 pixels, 7 times as large, two rows.
  EXPECT_GE(figures[1].image.width, 3 * 24 * 7);
  EXPECT_LT(figures[1].image.width, 4 * 24 * 7);
  EXPECT_GE(figures[1].image.height, 2 * 16 * 7);
  EXPECT_LT(figures[1].image.height, 3 * 16 * 7);
}

TEST(AnalysisFigures, OnlyWhatWasAskedFor) {
  const Mae model(small(), 1);
  SurveyOptions options;
  options.center = GuideCenter::mean;
  options.measures = {"clusters", "variance"};
  EXPECT_EQ(analysis_figures({subject(model, "a")}, at::randn({1, 3, 16, 24}), options, {}).size(),
            1u);
  EXPECT_THROW(
      analysis_figures({subject(model, "a")}, at::randn({1, 3, 16, 24}), options, {.clusters = 1}),
      Error);
}

TEST(SpreadEvenly, KeepsFirstAndLast) {
  using Chosen = std::vector<std::size_t>;
  EXPECT_EQ(spread_evenly(6, 4), (Chosen{0, 2, 3, 5}));
  EXPECT_EQ(spread_evenly(3, 8), (Chosen{0, 1, 2}));
  EXPECT_EQ(spread_evenly(5, 1), (Chosen{4}));
  EXPECT_EQ(spread_evenly(41, 3), (Chosen{0, 20, 40}));
}

}  // namespace
}  // namespace sgmae
