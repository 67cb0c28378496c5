// Oracle: the pure function (tests/analysis) on the tensors of one forward pass.
#include "sgmae/analysis/variance.h"
#include "tests/eval/survey_models.h"

namespace sgmae {
namespace {

TEST(MaskTokensMeasure, IsTheirVarianceAfterDecoderBlocks) {
  const SmallRun run;
  const Survey survey = run.survey("mask_tokens");
  Taps taps({"decoder.0.block_out"});
  run.first.forward(run.pixels, run.plan(), &taps);
  const MaskTokenVariance v =
      mask_token_variance(without_cls(taps["decoder.0.block_out"]), mask_of(run.plan()));
  EXPECT_NEAR(value(survey, {.metric = "mask_token_variance", .model = 0, .part = "decoder"}, 0),
              mean(v.direction), kBatches);
  EXPECT_NEAR(
      value(survey, {.metric = "mask_token_variance_raw", .model = 0, .part = "decoder"}, 0),
      mean(v.raw), kBatches);
}

}  // namespace
}  // namespace sgmae
