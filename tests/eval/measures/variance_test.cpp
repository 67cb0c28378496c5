// Oracle: the pure function (tests/analysis) on the tensors of one forward pass.
#include "sgmae/analysis/variance.h"
#include "sgmae/ncut/graph.h"
#include "tests/eval/survey_models.h"

namespace sgmae {
namespace {

TEST(VarianceMeasure, IsThatOfBlockOutputs) {
  const SmallRun run;
  const Survey survey = run.survey("variance");
  const at::Tensor tokens = without_cls(run.of_first("encoder.1.block_out"));
  const SimilarityVariance of_pairs = similarity_variance(similarity(tokens));
  for (const auto& [metric, expected] : {std::pair{"feature_variance", feature_variance(tokens)},
                                         {"similarity_variance", of_pairs.raw},
                                         {"similarity_variance_normalised", of_pairs.normalised}})
    EXPECT_NEAR(value(survey, {.metric = metric, .model = 0, .part = "encoder"}, 1), mean(expected),
                kBatches);
}

}  // namespace
}  // namespace sgmae
