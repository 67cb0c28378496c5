// Oracle: sample_map of the values that were written, ranked.
#include "sgmae/mask/mask_file.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>
#include <vector>

#include "sgmae/io/npy.h"
#include "sgmae/mask/relevance_map.h"
#include "tests/mask/tiny_context.h"
#include "tests/support/errors.h"

namespace sgmae {
namespace {

class MaskFileTest : public ::testing::Test {
 protected:
  MaskFileOptions options(const at::Tensor& maps, double hints = 0) {
    MaskFileOptions o;
    o.file = tiny_.path("maps.npy").string();
    o.hints = hints;
    write_npy(o.file, maps);
    return o;
  }
  // The map of the i-th image of the batch, through its crop and flip.
  static std::vector<float> seen(const at::Tensor& maps, const Batch& batch, std::int64_t i) {
    const at::Tensor map = maps[batch.index[i]].to(at::kFloat).contiguous();
    return sample_map({map.const_data_ptr<float>(), 16}, 4, 4, batch.crop[i], batch.source_size[i],
                      batch.flipped[i] != 0);
  }

  TinyContext tiny_;
};

TEST_F(MaskFileTest, HidesTheHighestValuesOfTheCrop) {
  const at::Tensor maps = at::rand({96, 4, 4});
  const auto mask = options(maps).make(tiny_.context());
  const Batch batch = tiny_.batch(2);
  const MaskPlan plan = mask->plan(batch, 2);
  expect_whole(plan, 16, 4);
  std::set<bool> flips;
  for (std::int64_t i = 0; i < batch.size(); ++i) {
    flips.insert(batch.flipped[i] != 0);
    const std::vector<float> map = seen(maps, batch, i);
    const std::int64_t* order = plan.order[i].const_data_ptr<std::int64_t>();
    for (int visible = 0; visible < 4; ++visible)
      for (int masked = 4; masked < 16; ++masked)
        EXPECT_LE(map[order[visible]], map[order[masked]]);
  }
  EXPECT_EQ(flips.size(), 2u);
  EXPECT_EQ(mask->after_epoch(2)["mask_file_random"], 0.0);
}

TEST_F(MaskFileTest, HidesTheOnesOfAMaskAndOthersAtRandom) {
  at::Tensor maps = at::zeros({96, 4, 4}, at::kByte);
  maps.select(1, 1).fill_(1);  // the second row of every image
  const auto mask = options(maps).make(tiny_.context());
  Batch batch = tiny_.batch(0);
  for (std::int64_t i = 0; i < batch.size(); ++i) {  // seen whole
    batch.source_size[i] = {16, 16};
    batch.crop[i] = whole(batch.source_size[i]);
  }
  const MaskPlan plan = mask->plan(batch, 0);
  expect_whole(plan, 16, 4);
  std::vector<int> visible(16, 0);
  for (std::int64_t i = 0; i < batch.size(); ++i)
    for (std::int64_t k = 0; k < 4; ++k) ++visible[plan.order[i][k].item<std::int64_t>()];
  for (int patch = 0; patch < 16; ++patch) EXPECT_EQ(visible[patch] > 0, patch / 4 != 1) << patch;
}

TEST_F(MaskFileTest, LeavesHintsWhereAsked) {
  at::Tensor maps = at::zeros({96, 4, 4});
  maps.slice(1, 1).fill_(1);  // all but the first row
  const auto mask = options(maps, 0.125).make(tiny_.context());
  Batch batch = tiny_.batch(0);
  for (std::int64_t i = 0; i < batch.size(); ++i) batch.crop[i] = whole(batch.source_size[i]);
  const MaskPlan plan = mask->plan(batch, 0);
  expect_whole(plan, 16, 4);
  int hints = 0;
  for (std::int64_t i = 0; i < batch.size(); ++i)
    for (std::int64_t k = 0; k < 4; ++k) hints += plan.order[i][k].item<std::int64_t>() >= 4;
  // Two of the fourteen that are not the least relevant; two of those are of the first row.
  EXPECT_NEAR(hints / 24.0, 2 * 12 / 14.0, 0.4);
}

TEST_F(MaskFileTest, IsRandomWhereThereIsNoMap) {
  at::Tensor maps = at::rand({96, 4, 4});
  const Batch batch = tiny_.batch(0);
  maps[batch.index[3]][2][1].fill_(std::numeric_limits<float>::quiet_NaN());
  maps[batch.index[7]].fill_(std::numeric_limits<float>::quiet_NaN());
  const auto mask = options(maps).make(tiny_.context());
  const MaskPlan plan = mask->plan(batch, 0);
  const MaskPlan random = RandomMask(16, 0.75, TinyContext::seed).plan(batch, 0);
  EXPECT_TRUE(at::equal(plan.order[7], random.order[7]));
  const std::vector<float> third = seen(maps, batch, 3);
  const bool shows = std::any_of(third.begin(), third.end(), [](float v) { return v != v; });
  EXPECT_EQ(at::equal(plan.order[3], random.order[3]), shows);
  EXPECT_FALSE(at::equal(plan.order[4], random.order[4]));
  EXPECT_NEAR(mask->after_epoch(0)["mask_file_random"].get<double>(), (1 + shows) / 24.0, 1e-6);
}

TEST_F(MaskFileTest, GoesOnByTheSameFileAlone) {
  const at::Tensor maps = at::rand({96, 4, 4});
  const auto mask = options(maps).make(tiny_.context());
  const Batch batch = tiny_.batch(4);
  const MaskPlan plan = mask->plan(batch, 4);
  const auto resumed = options(maps).make(tiny_.context());
  restore(*resumed, mask->state());
  EXPECT_EQ(resumed->state().json, mask->state().json);
  EXPECT_TRUE(at::equal(resumed->plan(batch, 4).order, plan.order));
  const auto other = options(maps.neg()).make(tiny_.context());
  EXPECT_NE(error_of(ExitCode::usage, [&] { restore(*other, mask->state()); }).find("another file"),
            std::string::npos);
}

TEST_F(MaskFileTest, RefusesWhatNoRunCouldHave) {
  EXPECT_NE(error_of(ExitCode::usage, [] { MaskFileOptions().check(false); }).find("--mask_file"),
            std::string::npos);
  MaskFileOptions o = options(at::rand({96, 4, 4}), 0.3);
  EXPECT_NO_THROW(o.check(false));
  EXPECT_NE(error_of(ExitCode::usage, [&] { o.make(tiny_.context()); }).find("mask_file_hints"),
            std::string::npos);
  o.hints = 1;
  EXPECT_NE(error_of(ExitCode::usage, [&] { o.check(false); }).find("mask_file_hints"),
            std::string::npos);
}

}  // namespace
}  // namespace sgmae
