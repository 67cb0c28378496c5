// Oracles: RandomMask before the start; informed_order and sample_map, each tested by itself.
#include "sgmae/mask/guided_planner.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sgmae/base/error.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kRows = 6, kColumns = 8, kPatches = 48, kVisible = 12;

MaeConfig tiny() {
  return {.height = 24,
          .width = 32,
          .channels = 1,
          .patch_size = 4,
          .encoder = {16, 2, 2},
          .decoder = {16, 1, 2}};
}

Batch batch_of(std::vector<std::int64_t> index) {
  Batch batch;
  batch.pixels = at::randn({static_cast<std::int64_t>(index.size()), 1, 24, 32});
  for (std::size_t i = 0; i < index.size(); ++i) {
    batch.crop.push_back({10, 5, 40, 30});
    batch.source_size.push_back({80, 60});
    batch.flipped.push_back(i % 2);
    batch.label.push_back(-1);
  }
  batch.index = std::move(index);
  return batch;
}

class GuidedPlannerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    RelevanceMapWriter writer(path_, {.images = 5, .rows = kRows, .columns = kColumns}, {});
    for (std::int64_t image = 0; image < 4; ++image) writer.put(image, map_of(image));
    writer.put(4, std::vector<float>(kPatches, std::numeric_limits<float>::quiet_NaN()));
    writer.commit();
  }

  // Multiples of 1/64: exact in fp16.
  static std::vector<float> map_of(std::int64_t image) {
    std::vector<float> map(kPatches);
    for (std::int64_t i = 0; i < kPatches; ++i)
      map[i] = static_cast<float>((i * 5 + image * 11) % kPatches) / 64;
    return map;
  }
  std::shared_ptr<const RelevanceMaps> maps() const {
    return std::make_shared<const RelevanceMaps>(path_);
  }
  static GuidedPlanOptions options() { return {.epochs = 20, .seed = 3}; }

  const TemporaryFolder folder_;
  const fs::path path_ = folder_.root() / "maps.safetensors";
};

TEST_F(GuidedPlannerTest, IsRandomBeforeTheStart) {
  GuidedPlanner mask(tiny(), options());
  RandomMask random(kPatches, 0.75, 3);
  const Batch batch = batch_of({0, 1, 4});
  EXPECT_TRUE(mask.plan(batch, 7).order.equal(random.plan(batch, 7).order));
  mask.start(8, maps());
  EXPECT_FALSE(mask.started(7));
  EXPECT_TRUE(mask.plan(batch, 7).order.equal(random.plan(batch, 7).order));
  EXPECT_TRUE(mask.started(8));
  EXPECT_FALSE(mask.plan(batch, 8).order.equal(random.plan(batch, 8).order));
}

TEST_F(GuidedPlannerTest, OrdersByTheMapSeenThroughTheCrop) {
  GuidedPlanner mask(tiny(), options());
  mask.start(8, maps());
  const Batch batch = batch_of({2, 0, 3});
  const MaskPlan plan = mask.plan(batch, 10);
  EXPECT_EQ(plan.n_visible, kVisible);
  const std::int64_t hints = hint_count({}, kPatches, 10, 8, 20);
  for (int i = 0; i < 3; ++i) {
    const std::vector<float> seen = sample_map(map_of(batch.index[i]), kRows, kColumns,
                                               batch.crop[i], batch.source_size[i], i % 2 == 1);
    std::vector<std::int64_t> order(kPatches);
    informed_order(seen, kVisible, hints, HintStrategy::random, GuideTarget::object,
                   Rng(3, 10, batch.index[i], Purpose::hint), order);
    for (std::int64_t p = 0; p < kPatches; ++p)
      EXPECT_EQ(plan.order[i][p].item<std::int64_t>(), order[p]);
  }
}

TEST_F(GuidedPlannerTest, FallsBackToRandomMasksForDegenerateImages) {
  GuidedPlanner mask(tiny(), options());
  mask.start(0, maps());
  const Batch batch = batch_of({1, 4, 4});
  const MaskPlan plan = mask.plan(batch, 5);
  EXPECT_EQ(mask.degenerate_count(), 2);
  const MaskPlan random = RandomMask(kPatches, 0.75, 3).plan(batch, 5);
  EXPECT_FALSE(plan.order[0].equal(random.order[0]));
  EXPECT_TRUE(plan.order[1].equal(random.order[1]));
  EXPECT_TRUE(plan.order[2].equal(random.order[2]));
}

TEST_F(GuidedPlannerTest, DoesNotDependOnTheBatchOrOnWhatCameBefore) {
  GuidedPlanner one(tiny(), options()), resumed(tiny(), options());
  one.start(2, maps());
  Batch batch = batch_of({0, 1, 2, 3});
  for (std::int64_t epoch = 0; epoch < 5; ++epoch) one.plan(batch, epoch);
  resumed.start(2, maps());  // all that a resumed run does
  const MaskPlan a = one.plan(batch, 5), b = resumed.plan(batch, 5);
  EXPECT_TRUE(a.order.equal(b.order));
  Batch alone = batch_of({2});  // not flipped, as image 2 was
  EXPECT_TRUE(resumed.plan(alone, 5).order[0].equal(a.order[2]));
  EXPECT_FALSE(one.plan(batch, 6).order.equal(a.order));  // hints change with the epoch
}

TEST_F(GuidedPlannerTest, AlternatesBetweenObjectAndBackground) {
  GuidedPlanOptions o = options();
  o.target = GuideTarget::alternate;
  o.hints.strategy = HintStrategy::none;
  GuidedPlanner mask(tiny(), o);
  mask.start(4, maps());
  const Batch batch = batch_of({1});
  const auto visible = [&](std::int64_t epoch) {
    const at::Tensor order = mask.plan(batch, epoch).order[0];
    std::set<std::int64_t> set;
    for (std::int64_t i = 0; i < kVisible; ++i) set.insert(order[i].item<std::int64_t>());
    return set;
  };
  const std::set<std::int64_t> object = visible(4), background = visible(5);
  for (const std::int64_t patch : object) EXPECT_EQ(background.count(patch), 0u);
  EXPECT_EQ(visible(6), object);
  EXPECT_EQ(visible(7), background);
}

TEST_F(GuidedPlannerTest, LooksAtTheBatchItselfWhenOnline) {
  const Mae model(tiny(), 5);
  const GuideOptions guide{.center = GuideCenter::mean};
  GuidedPlanner mask(tiny(), options());
  mask.start(3, model, guide);
  const Batch batch = batch_of({7, 100, 9});
  const MaskPlan plan = mask.plan(batch, 4);
  const Guide seen = make_guide(model, batch.pixels, guide, {}, batch.index);
  for (int i = 0; i < 3; ++i) {
    std::vector<std::int64_t> order(kPatches);
    const at::Tensor row = seen.relevance[i].contiguous();
    informed_order({row.data_ptr<float>(), kPatches}, kVisible, hint_count({}, kPatches, 4, 3, 20),
                   HintStrategy::random, GuideTarget::object,
                   Rng(3, 4, batch.index[i], Purpose::hint), order);
    for (std::int64_t p = 0; p < kPatches; ++p)
      EXPECT_EQ(plan.order[i][p].item<std::int64_t>(), order[p]);
  }
}

TEST_F(GuidedPlannerTest, RefusesMapsOfAnotherGridAndHintsThatLeaveNothingMasked) {
  MaeConfig other = tiny();
  other.width = 24;
  GuidedPlanner mask(other, options());
  try {
    mask.start(0, maps());
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::checkpoint);
  }
  GuidedPlanOptions o = options();
  o.hints.ratio = 0.9;
  try {
    GuidedPlanner refused(tiny(), o);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::usage);
  }
}

}  // namespace
}  // namespace sgmae
