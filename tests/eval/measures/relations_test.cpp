// Oracle: the pure function (tests/analysis) on the tensors of one forward pass.
#include "sgmae/analysis/relations.h"
#include "tests/eval/survey_models.h"

namespace sgmae {
namespace {

TEST(RelationsMeasure, IsTheSimilarityOfBlockOutputs) {
  const SmallRun run;
  const Survey survey = run.survey("relations");
  const at::Tensor tokens = without_cls(run.of_first("encoder.1.block_out"));
  EXPECT_NEAR(value(survey, {.metric = "similarity_to_mean", .model = 0, .part = "encoder"}, 1),
              mean(similarity_to_mean(tokens)), kBatches);
}

}  // namespace
}  // namespace sgmae
