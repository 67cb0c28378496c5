// Oracle: the pure function (tests/analysis) on the tensors of one forward pass.
#include "sgmae/analysis/attention_shape.h"
#include "tests/eval/survey_models.h"

namespace sgmae {
namespace {

TEST(AttentionMeasure, IsTheShapeOfHeadsAndTheirMean) {
  const SmallRun run;
  const Survey survey = run.survey("attention");
  const WhereHeadsLook shape = attention_shape(run.of_first("encoder.0.attention"), 1, 6, 4);
  for (const auto& [metric, expected] :
       {std::pair{std::string("nmi"), shape.nmi}, {"attention_distance", shape.distance}}) {
    SeriesId id{.metric = metric, .model = 0, .part = "encoder"};
    EXPECT_NEAR(value(survey, id, 0), mean(expected), 10 * kBatches) << metric;  // pixels: of 12
    id.metric += "_heads";
    id.head = 1;
    EXPECT_NEAR(value(survey, id, 0), mean(expected.select(1, 1)), 10 * kBatches) << metric;
  }
}

}  // namespace
}  // namespace sgmae
