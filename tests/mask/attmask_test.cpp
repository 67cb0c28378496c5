// Oracles: ranks by the attention tap itself, averaged in fp64; an average of weights made by hand
// and a strategy that looks with them.
#include "sgmae/mask/attmask.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <set>
#include <vector>

#include "tests/mask/tiny_context.h"
#include "tests/support/errors.h"
#include "tests/support/other_device.h"

namespace sgmae {
namespace {

AttMaskOptions options(AttMaskTarget target, AttMaskTeacher teacher = AttMaskTeacher::present) {
  AttMaskOptions o;
  o.target = target;
  o.teacher = teacher;
  return o;
}

// [B][N] of the class token, mean over heads.
std::vector<std::vector<double>> attention(const Mae& model, const Batch& batch) {
  const std::string tap = "encoder.1.attention";
  Taps taps({tap});
  model.encode(batch.pixels, &taps);
  const at::Tensor all = taps[tap].to(at::kDouble).contiguous();
  std::vector<std::vector<double>> rows;
  for (std::int64_t i = 0; i < all.size(0); ++i) {
    rows.emplace_back(16, 0.0);
    for (std::int64_t head = 0; head < all.size(1); ++head)
      for (std::int64_t p = 0; p < 16; ++p)
        rows.back()[p] += all[i][head][0][1 + p].item<double>() / 2;
  }
  return rows;
}

// How many patches are attended to more than each of those in `order`, by their place there.
std::vector<std::int64_t> ranks(const MaskPlan& plan, std::int64_t image,
                                const std::vector<double>& attended) {
  std::vector<std::int64_t> from_top;
  for (std::int64_t k = 0; k < 16; ++k) {
    const double own = attended[plan.order[image][k].item<std::int64_t>()];
    from_top.push_back(std::count_if(attended.begin(), attended.end(),
                                     [&](double other) { return other > own + 1e-9; }));
  }
  return from_top;
}

TEST(AttMask, MasksWhatIsAttendedToMost) {
  TinyContext tiny;
  const auto mask = options(AttMaskTarget::high).make(tiny.context());
  const Batch batch = tiny.batch(1);
  const MaskPlan plan = mask->plan(batch, 1);
  expect_whole(plan, 16, 4);
  const auto attended = attention(tiny.model(), batch);
  for (std::int64_t i = 0; i < batch.size(); ++i) {
    const auto rank = ranks(plan, i, attended[i]);
    for (std::int64_t k = 0; k < 4; ++k) EXPECT_GE(rank[k], 12) << i;
    for (std::int64_t k = 4; k < 16; ++k) EXPECT_LT(rank[k], 12) << i;
  }
  double masked = 0, all = 0;
  for (std::int64_t i = 0; i < batch.size(); ++i)
    for (std::int64_t k = 0; k < 16; ++k) {
      const double own = attended[i][plan.order[i][k].item<std::int64_t>()];
      all += own / 16;
      if (k >= 4) masked += own / 12;
    }
  EXPECT_NEAR(mask->after_epoch(1)["mask_attention"].get<double>(), masked / all, 1e-5);
}

TEST(AttMask, MasksWhatIsAttendedToLeast) {
  TinyContext tiny;
  const auto mask = options(AttMaskTarget::low).make(tiny.context());
  const Batch batch = tiny.batch(1);
  const MaskPlan plan = mask->plan(batch, 1);
  expect_whole(plan, 16, 4);
  const auto attended = attention(tiny.model(), batch);
  for (std::int64_t i = 0; i < batch.size(); ++i) {
    const auto rank = ranks(plan, i, attended[i]);
    for (std::int64_t k = 0; k < 4; ++k) EXPECT_LT(rank[k], 4) << i;
    for (std::int64_t k = 4; k < 16; ++k) EXPECT_GE(rank[k], 4) << i;
  }
}

TEST(AttMask, ShowsHintsOfTheMostAttended) {
  TinyContext tiny;
  AttMaskOptions o = options(AttMaskTarget::hint);
  o.show = 0.25;  // of the 4 most attended, 3: a quarter of the 12 masked
  const auto mask = o.make(tiny.context());
  const Batch batch = tiny.batch(1);
  const MaskPlan plan = mask->plan(batch, 1);
  expect_whole(plan, 16, 4);
  const auto attended = attention(tiny.model(), batch);
  std::set<std::int64_t> kept;
  for (std::int64_t i = 0; i < batch.size(); ++i) {
    const auto rank = ranks(plan, i, attended[i]);
    EXPECT_EQ(rank[0], 15) << "the least attended stays";
    std::set<std::int64_t> hints;
    for (std::int64_t k = 1; k < 4; ++k) {
      EXPECT_LT(rank[k], 4) << i;
      hints.insert(rank[k]);
    }
    for (std::int64_t r = 0; r < 4; ++r)
      if (!hints.count(r)) kept.insert(r);
  }
  EXPECT_EQ(kept.size(), 4u) << "which of the four stays masked is drawn";
}

TEST(AttMask, CountsHintsAsPublished) {
  std::vector<std::int64_t> order(196);
  std::iota(order.begin(), order.end(), std::int64_t{0});
  show_hints(order, 49, 14, 19, Rng(1, 0, 0, Purpose::mask));  // int(14.7) of int(19.6)
  for (std::int64_t k = 0; k < 35; ++k) EXPECT_EQ(order[k], k);
  for (std::int64_t k = 35; k < 49; ++k) EXPECT_GE(order[k], 177);
  for (std::int64_t k = 49; k < 191; ++k) EXPECT_EQ(order[k], k - 14) << "masked, as before";
  for (std::int64_t k = 191; k < 196; ++k) EXPECT_GE(order[k], 177);
  EXPECT_EQ(std::set<std::int64_t>(order.begin(), order.end()).size(), 196u);
}

TEST(AttMask, DrawsOfEachImageAreItsOwn) {
  TinyContext tiny;
  const auto mask = options(AttMaskTarget::hint).make(tiny.context());
  Batch batch = tiny.batch(1);
  const MaskPlan plan = mask->plan(batch, 1);
  batch.pixels = batch.pixels.slice(0, 5, 6).contiguous();
  batch.index = {batch.index[5]};
  EXPECT_TRUE(at::equal(mask->plan(batch, 1).order[0], plan.order[5]));
}

TEST(AttMask, ItsTeacherIsTheMovingAverageAndComesBack) {
  TinyContext tiny;
  AttMaskOptions o = options(AttMaskTarget::high, AttMaskTeacher::ema);
  o.momentum = 0.6;
  const auto mask = o.make(tiny.context(/*epochs=*/40));
  const Batch batch = tiny.batch(10);
  mask->plan(batch, 10);  // the teacher begins as the model
  Mae average(tiny.model().config(), 2);
  const double m = 1 - 0.4 * 0.5 * (1 + std::cos(std::numbers::pi / 4));  // at epoch 10 of 40
  for (std::size_t k = 0; k < average.parameters().size(); ++k) {
    at::Tensor& value = tiny.model().parameters()[k].value;
    const at::Tensor before = value.clone();
    value.mul_(-1.5).add_(0.02);
    average.parameters()[k].value.copy_(before.mul(m).add(value, 1 - m));
  }
  tiny.model().parameters_changed();
  average.parameters_changed();
  mask->after_step({.epoch = 10, .step = 1, .applied = false});
  const MaskPlan still = mask->plan(batch, 10);
  mask->after_step({.epoch = 10, .step = 1});
  const MaskPlan followed = mask->plan(batch, 10);
  EXPECT_FALSE(at::equal(still.order, followed.order));

  const auto by = [&](const Mae& model) {
    const MaskContext here = tiny.context();
    MaskContext context{.model = model,
                        .source = here.source,
                        .loader = here.loader,
                        .folder = here.folder,
                        .epochs = 40,
                        .seed = here.seed,
                        .optim = {},
                        .compute = here.compute};
    return options(AttMaskTarget::high).make(context)->plan(batch, 10).order;
  };
  EXPECT_TRUE(at::equal(by(average), followed.order));
  EXPECT_FALSE(at::equal(by(tiny.model()), followed.order));

  const auto resumed = o.make(tiny.context(40));
  restore(*resumed, mask->state());
  EXPECT_TRUE(at::equal(resumed->plan(batch, 10).order, followed.order));
  EXPECT_EQ(resumed->state().json["attention"], [&] {
    mask->plan(batch, 10);
    return mask->state().json["attention"];
  }());

  const auto anew = o.make(tiny.context(40));
  restore(*anew, {});  // of a run whose masks were random
  EXPECT_TRUE(at::equal(anew->plan(batch, 10).order, by(tiny.model())));
}

TEST(AttMask, IsRandomBeforeItsStart) {
  TinyContext tiny;
  AttMaskOptions o;
  o.start = 3;
  const auto mask = o.make(tiny.context());
  const Batch batch = tiny.batch(2);
  RandomMask random(16, 0.75, TinyContext::seed);
  EXPECT_TRUE(at::equal(mask->plan(batch, 2).order, random.plan(batch, 2).order));
  EXPECT_FALSE(at::equal(mask->plan(batch, 3).order, random.plan(batch, 3).order));
  EXPECT_FALSE(mask->before_epoch(2).losses_do_not_compare);
  EXPECT_TRUE(mask->before_epoch(3).losses_do_not_compare);
  EXPECT_TRUE(mask->after_epoch(2).empty());
  EXPECT_EQ(mask->guide_start(), 3);
  EXPECT_EQ(o.random_epochs(40), 3);
  EXPECT_EQ(o.random_epochs(2), 2);
  EXPECT_EQ(AttMaskOptions().random_epochs(40), 0);
}

// The order of patches that are attended to alike may differ by rounding.
TEST(AttMask, OfAnotherDeviceIsThatOfTheCpu) {
  const at::Device device = other_device();
  TinyContext tiny;
  const Batch batch = tiny.batch(1);
  AttMaskOptions o;
  const MaskPlan here = o.make(tiny.context())->plan(batch, 1);
  const auto attended = attention(tiny.model(), batch);
  tiny.model().move_to(device);
  const auto mask = o.make(tiny.context());
  const MaskPlan there = mask->plan(batch, 1);
  ASSERT_TRUE(there.order.is_cpu());
  for (std::int64_t i = 0; i < batch.size(); ++i)
    for (std::int64_t k = 0; k < 16; ++k)
      EXPECT_NEAR(attended[i][there.order[i][k].item<std::int64_t>()],
                  attended[i][here.order[i][k].item<std::int64_t>()], 1e-6);
  mask->after_step({.epoch = 1, .step = 1});
  const auto resumed = o.make(tiny.context());
  restore(*resumed, mask->state());
  EXPECT_TRUE(at::equal(resumed->plan(batch, 1).order, mask->plan(batch, 1).order));
}

TEST(AttMask, GivesRandomMasksWhereTheModelBroke) {
  TinyContext tiny;
  const auto mask = options(AttMaskTarget::high).make(tiny.context());
  tiny.model().parameters().front().value.fill_(std::numeric_limits<float>::quiet_NaN());
  tiny.model().parameters_changed();
  const Batch batch = tiny.batch(0);
  RandomMask random(16, 0.75, TinyContext::seed);
  EXPECT_TRUE(at::equal(mask->plan(batch, 0).order, random.plan(batch, 0).order));
  EXPECT_TRUE(std::isfinite(mask->after_epoch(0)["mask_attention"].get<double>()));
}

TEST(AttMask, RefusesWhatNoRunCouldHave) {
  const auto said = [](auto change) {
    AttMaskOptions o;
    change(o);
    return error_of(ExitCode::usage, [&] { o.check(false); });
  };
  EXPECT_NE(said([](AttMaskOptions& o) { o.show = 1.5; }).find("attmask_show"), std::string::npos);
  EXPECT_NE(said([](AttMaskOptions& o) { o.momentum = -1; }).find("attmask_momentum"),
            std::string::npos);
  EXPECT_NE(said([](AttMaskOptions& o) { o.start = -1; }).find("attmask_start"), std::string::npos);
  TinyContext tiny;
  AttMaskOptions o = options(AttMaskTarget::hint);
  o.show = 0.5;  // six hints where four stay
  EXPECT_NE(error_of(ExitCode::usage, [&] { o.make(tiny.context()); }).find("attmask_show 0.5"),
            std::string::npos);
}

}  // namespace
}  // namespace sgmae
