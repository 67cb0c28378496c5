// Oracle: nothing is measured; the picture has its tests in tests/report/analysis_figures_test.cpp.
#include "tests/eval/survey_models.h"

namespace sgmae {
namespace {

TEST(ClustersMeasure, IsOnlyAPicture) {
  expect_only_a_picture("clusters", /*cuts=*/true);
}

}  // namespace
}  // namespace sgmae
