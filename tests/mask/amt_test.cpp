// Oracle: attention tapped from the model and worked out in fp64; the probability of the first
// draw.
#include "sgmae/mask/amt.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <set>
#include <tuple>

#include "tests/mask/tiny_context.h"
#include "tests/support/tensors.h"
#include "tests/tiny_mae.h"

namespace sgmae {
namespace {

TEST(ClassAttention, IsScaledPerHead) {
  const Mae model(two_blocks(true), 3);
  const at::Tensor pixels = noise({2, 3, 16, 24}, 4);
  const at::Tensor ours = scaled_class_attention(model, pixels);
  Taps taps({"encoder.1.attention"});
  model.encode(pixels, &taps);
  const at::Tensor all = taps["encoder.1.attention"].to(at::kDouble);
  for (int b = 0; b < 2; ++b) {
    at::Tensor mean = at::zeros({24}, at::kDouble);
    for (int head = 0; head < 4; ++head) {
      const at::Tensor row = all[b][head][0].slice(0, 1);
      mean += (row - row.min()) / (row.max() - row.min()) / 4;
    }
    EXPECT_LT(relative_error(ours[b], mean), 1e-5);
  }
}

TEST(WeightedOrder, DrawsInProportionAndCountsExactly) {
  const std::vector<float> weights{0.1f, 0.4f, 0.2f, 0.0f, 0.3f};
  std::vector<double> first(5);
  const int draws = 20000;
  int lightest_visible = 0;
  for (int i = 0; i < draws; ++i) {
    std::vector<std::int64_t> order(5);
    weighted_order(weights, 1, 3, Rng(1, 0, i, Purpose::mask), order);
    // One is masked: the first that was drawn.
    ++first[static_cast<std::size_t>(order[1])];
    EXPECT_EQ(std::set<std::int64_t>(order.begin(), order.end()).size(), 5u);
    lightest_visible += order[0] == 3;
  }
  EXPECT_GT(lightest_visible, draws - 10);  // what weighs 1e-6 is drawn last, and stays
  for (std::size_t i = 0; i < 5; ++i)       // a deviation is at most 0.0035
    EXPECT_NEAR(first[i] / draws, weights[i], 0.018) << i;
}

class AmtTest : public ::testing::Test {
 protected:
  AmtTest() {
    amt_.start = 2;
    amt_.refresh = 3;
  }
  MaskContext context() const {
    MaskContext context = tiny_.context();
    context.mask_ratio = 0.5;
    return context;
  }
  Batch batch() const { return tiny_.batch(0); }

  TinyContext tiny_;
  AmtOptions amt_;
};

TEST_F(AmtTest, IsRandomUntilItsMapsAreMade) {
  Amt amt(amt_, context());
  RandomMask random(16, 0.5, TinyContext::seed);
  const Batch images = batch();
  EXPECT_FALSE(amt.before_epoch(1).save_now);
  EXPECT_TRUE(amt.plan(images, 1).order.equal(random.plan(images, 1).order));
  EXPECT_EQ(amt.guide_start(), std::nullopt);
  const EpochStart begins = amt.before_epoch(2);
  EXPECT_TRUE(begins.save_now && begins.losses_do_not_compare);
  EXPECT_NE(begins.news.at(0).find("attention maps of 96 images"), std::string::npos);
  EXPECT_EQ(amt.guide_start(), 2);
  EXPECT_FALSE(amt.plan(images, 2).order.equal(random.plan(images, 2).order));
}

TEST_F(AmtTest, PlansFromItsMapsSeenThroughTheCrop) {
  amt_.throw_ratio = 0.25;
  Amt amt(amt_, context());
  amt.before_epoch(2);
  const Batch images = batch();
  const MaskPlan plan = amt.plan(images, 2);
  EXPECT_EQ(plan.n_visible, 4);
  EXPECT_EQ(plan.n_thrown, 4);
  EXPECT_EQ(plan.n_masked(), 8);
  EXPECT_TRUE(std::get<0>(plan.order.sort(1)).equal(at::arange(16, at::kLong).expand({24, 16})));
  const RelevanceMaps maps(tiny_.run().maps() / maps_name(2));
  const at::Tensor weights = sample_maps(maps, images);
  for (std::int64_t i = 0; i < 24; ++i) {
    std::vector<std::int64_t> order(16);
    weighted_order({weights[i].const_data_ptr<float>(), 16}, 4, 4,
                   Rng(TinyContext::seed, 2, images.index[i], Purpose::mask), order);
    EXPECT_TRUE(
        std::equal(order.begin(), order.end(), plan.order[i].const_data_ptr<std::int64_t>()));
  }
  EXPECT_GT(amt.after_epoch(2).at("mask_attention").get<double>(), 1.0);
}

TEST_F(AmtTest, RefreshesAndComesBack) {
  Amt amt(amt_, context());
  amt.before_epoch(2);
  for (const std::int64_t epoch : {3, 4}) EXPECT_FALSE(amt.before_epoch(epoch).save_now) << epoch;
  tiny_.model().parameters()[0].value.add_(0.5);
  EXPECT_TRUE(amt.before_epoch(5).save_now);
  const Batch images = batch();
  const MaskPlan plan = amt.plan(images, 5);
  Amt resumed(amt_, context());
  restore(resumed, amt.state());
  EXPECT_TRUE(resumed.plan(images, 5).order.equal(plan.order));
  EXPECT_TRUE(resumed.needs_checkpoint({5, 0}));
  EXPECT_FALSE(resumed.needs_checkpoint({5, 1}));
}

TEST_F(AmtTest, RefusesWhatCannotBe) {
  amt_.throw_ratio = 0.5;  // with mask_ratio 0.5
  EXPECT_THROW(Amt(amt_, context()), Error);
  amt_.throw_ratio = -0.1;
  EXPECT_THROW(amt_.check(false), Error);
  amt_ = {};
  amt_.refresh = -2;
  EXPECT_THROW(amt_.check(false), Error);
}

// Published for 400 epochs: from 40, every 40.
TEST_F(AmtTest, DefaultsScaleWithTheRun) {
  const AmtOptions published;
  EXPECT_EQ(published.start_of(400), 40);
  EXPECT_EQ(published.refresh_of(400), 40);
  EXPECT_EQ(published.random_epochs(60), 6);
}

}  // namespace
}  // namespace sgmae
