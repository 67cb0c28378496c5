// Oracle: the model's own loss.
#include "tests/eval/survey_models.h"

namespace sgmae {
namespace {

// Of the last checkpoint's curve, the first's epoch; all images weigh alike, as in the loss.
TEST(ErrorMeasure, OnMaskedPatchesIsTheLoss) {
  const SmallRun run;
  const Survey survey = run.survey("error");
  const auto error_at = [&](const char* label, double epoch) {
    return value(survey, {.metric = "reconstruction_error", .model = 1, .label = label}, epoch);
  };
  EXPECT_NEAR(error_at("masked patches", 1), run.first.forward(run.pixels, run.plan()).loss,
              kBatches);
  EXPECT_NEAR(error_at("masked patches", 2), run.last.forward(run.pixels, run.plan()).loss,
              kBatches);
  EXPECT_GT(error_at("visible patches", 1), 0);
}

}  // namespace
}  // namespace sgmae
