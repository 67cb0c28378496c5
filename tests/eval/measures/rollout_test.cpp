// Oracle: nothing is measured; the picture has its tests in tests/report/analysis_figures_test.cpp.
#include "tests/eval/survey_models.h"

namespace sgmae {
namespace {

TEST(RolloutMeasure, IsOnlyAPicture) {
  expect_only_a_picture("rollout", /*cuts=*/false);
}

}  // namespace
}  // namespace sgmae
