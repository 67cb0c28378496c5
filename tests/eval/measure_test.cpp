// Oracle: the functions of ncut and analysis on the taps given; the files in the folder of
// measures.
#include "sgmae/eval/measure.h"

#include <filesystem>

#include "sgmae/analysis/relations.h"
#include "sgmae/mask/patch_error.h"
#include "sgmae/ncut/graph.h"
#include "tests/eval/survey_models.h"

namespace sgmae {
namespace {

TEST(Measures, AreTheFilesOfTheirFolderInOrder) {
  std::set<std::string> files, names, metrics;
  const auto sources = std::filesystem::path(SGMAE_TEST_DATA) / "../../../sgmae/eval/measures";
  for (const auto& file : std::filesystem::directory_iterator(sources))
    files.insert(file.path().stem().string());
  int order = 0;
  for (const Measure& measure : measures()) {
    EXPECT_TRUE(names.insert(measure.name).second) << measure.name;
    EXPECT_GT(measure.order, order) << measure.name;  // no two of them the same
    order = measure.order;
    EXPECT_FALSE(measure.summary.empty()) << measure.name;
    EXPECT_EQ(measure.charts.empty(),
              !measure.see && !measure.see_masked && !measure.see_output && !measure.see_scene)
        << measure.name;
    for (const MetricInfo& chart : measure.charts) {
      EXPECT_TRUE(metrics.insert(chart.name).second) << chart.name;
      EXPECT_TRUE(chart.good.ends_with('.')) << chart.name << " says what good looks like";
    }
  }
  EXPECT_EQ(names, files);
  EXPECT_EQ(measures().front().name, "relations");  // the paper's first figure
}

TEST(SurveyOptions, CentreFeaturesByThePositionMeansOfTheSubject) {
  const Mae model(small(), 1);
  Subject of = subject(model);
  SurveyOptions options;
  options.center = GuideCenter::position;
  of.position_mean["encoder.1"] = at::randn({36, 16});
  const at::Tensor x = at::randn({2, 36, 16}), pixels = at::randn({2, 1, 24, 24});
  const at::Tensor centred = centred_features(of, "encoder.1", x, options);
  EXPECT_TRUE(centred.equal(x - of.position_mean["encoder.1"]));
  const Guide guide =
      guide_of(of, "encoder.1", x, evidence_of(of, pixels, {3, 9}, options), options);
  const at::Tensor errors = patch_errors(model, pixels, {3, 9}, 0.75, 0);
  EXPECT_TRUE(guide.relevance.equal(guide_to_hardest(centred, errors).relevance));
  of.mae = nullptr;
  EXPECT_EQ(object_rule_for(of, options), ObjectRule::eigenvector);
  EXPECT_TRUE(guide_of(of, "encoder.1", x, evidence_of(of, pixels, {}, options), options)
                  .object_side.equal(bipartition(similarity(centred)).object_side));
}

TEST(BlockView, GivesPatchesAndWhatIsMadeOfThem) {
  const Mae model(small(), 1);
  const Subject of = subject(model);
  SurveyOptions options;
  options.features = GuideFeatures::key;
  options.guide_layer = -2;
  MetricTable table;
  const Scene scene{.options = options, .subject = of, .model = 3, .table = table};
  const at::Tensor key = at::randn({2, 38, 16});
  const at::Tensor attention = at::randn({2, 2, 38, 38}).softmax(-1);
  BlockView block{scene, "encoder", 0, 2, /*prefix=*/2};
  block.taps = {{"key", key}, {"attention", attention}};
  EXPECT_EQ(block.name(), "encoder.0");
  EXPECT_TRUE(block.is_guide_layer());  // -2 of 2
  EXPECT_FALSE((BlockView{scene, "encoder", 1, 2, 2}.is_guide_layer()));
  EXPECT_FALSE((BlockView{scene, "decoder", 0, 2, 1}.is_guide_layer()));
  const at::Tensor x = key.slice(1, 2);
  EXPECT_TRUE(block.features().equal(x));
  EXPECT_TRUE(block.relation_m().equal(similarity(x)));
  EXPECT_TRUE(block.relation_a().equal(attention_relation(attention, 2)));
  EXPECT_TRUE(block.centred().equal(x));
  EXPECT_TRUE(block.cut().object_side.equal(bipartition(similarity(x)).object_side));
  block.add("m", "label", x.sum({1, 2}));
  table.gather();
  EXPECT_EQ(table.curves().count({.metric = "m", .model = 3, .part = "encoder", .label = "label"}),
            1u);
}

}  // namespace
}  // namespace sgmae
