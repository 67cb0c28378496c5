// Oracle: the pure function (tests/analysis) on the tensors of one forward pass.
#include "sgmae/analysis/relations.h"
#include "sgmae/ncut/graph.h"
#include "tests/eval/survey_models.h"

namespace sgmae {
namespace {

TEST(DivergenceMeasure, IsFromTheLastCheckpoint) {
  const SmallRun run;
  const Survey survey = run.survey("divergence");
  const auto m = [](const at::Tensor& tap) { return similarity(without_cls(tap)).softmax(-1); };
  EXPECT_NEAR(value(survey, {.metric = "divergence_similarity", .model = 0, .part = "encoder"}, 1),
              mean(relation_divergence(m(run.of_first("encoder.1.attention_out")),
                                       m(run.of_last("encoder.1.attention_out")))),
              kBatches);
  EXPECT_NEAR(value(survey, {.metric = "divergence_attention", .model = 0, .part = "encoder"}, 1),
              mean(relation_divergence(attention_relation(run.of_first("encoder.1.attention")),
                                       attention_relation(run.of_last("encoder.1.attention")))),
              kBatches);
}

TEST(DivergenceMeasure, OfTheLastCheckpointIsZero) {
  const Survey survey = SmallRun().survey("divergence");
  EXPECT_EQ(value(survey, {.metric = "divergence_attention", .model = 1, .part = "decoder"}, 0), 0);
  EXPECT_GT(value(survey, {.metric = "divergence_attention", .model = 0, .part = "decoder"}, 0), 0);
  // Over epochs: one curve per part and block, epochs ascending, ending at 0.
  const auto json = survey.metrics();
  const auto& series = json["divergence_attention_by_epoch"]["series"];
  ASSERT_EQ(series.size(), 3u);
  EXPECT_EQ(series[0]["x"], "epoch");
  EXPECT_EQ(series[0]["at"], (std::vector<double>{1, 2}));
  EXPECT_EQ(series[0]["values"][1], 0.0);
}

}  // namespace
}  // namespace sgmae
