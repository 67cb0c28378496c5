// Oracle: objects that cover everything, of which a mask hides its own share.
#include "tests/eval/survey_models.h"

namespace sgmae {
namespace {

TEST(CoverageMeasure, IsHowCutAndMasksMeetObjects) {
  const Mae model(small(), 1);
  SurveyOptions options;
  options.measures = {"coverage"};
  options.center = GuideCenter::mean;
  Survey survey({subject(model)}, options);
  std::vector<std::optional<MarkedObjects>> objects(3);
  objects[0] = MarkedObjects{{{0, 0, 1, 1}}, {}};
  objects[2] = objects[0];
  survey.add(at::randn({3, 1, 24, 24}), {0, 1, 2}, objects);
  EXPECT_EQ(survey.images_with_objects(), 2);
  for (const char* mask : {"informed mask", "random mask"}) {
    const auto& moments = survey.table().curves().at(
        {.metric = "hidden_share", .model = 0, .part = "encoder", .label = mask});
    EXPECT_EQ(moments.at(0).count, 2);
    EXPECT_NEAR(moments.at(0).mean, 0.75, 1e-6);
  }
  const double iou = value(survey, {.metric = "object_iou", .model = 0, .part = "encoder"}, 1);
  EXPECT_GT(iou, 0);
  EXPECT_LT(iou, 1);
}

TEST(CoverageMeasure, OfImagesWithoutObjectsAsksForNothing) {
  EXPECT_TRUE(SmallRun().survey("coverage").table().curves().empty());
}

}  // namespace
}  // namespace sgmae
