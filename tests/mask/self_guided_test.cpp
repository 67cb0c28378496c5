// Oracle: curves made by hand, put in through the probe's state, and the measurement done directly.
#include "sgmae/mask/self_guided.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "sgmae/base/log.h"
#include "tests/support/temporary_folder.h"
#include "tests/tasks/tiny_run.h"

namespace sgmae {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

class SelfGuidedTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_quiet(true);
    tiny::write_images(root_ / "data");
    options_ = tiny::options(root_ / "data", root_ / "run");
    options_.epochs = 40;
    source_ = open_source(options_.data_path);
    model_ = std::make_unique<Mae>(model_config(options_, 1), 1);
    folder_ = RunFolder{options_.output_dir};
    fs::create_directories(folder_.maps());
    loader_.batch_size = 8;
    loader_.num_workers = 0;
    loader_.height = loader_.width = tiny::side;
    loader_.channels = 1;
  }

  // With a probe that found `curve`, the mask tokens' share epoch by epoch; without one where null.
  SelfGuided strategy(const std::vector<double>* curve = nullptr) {
    if (curve) {
      json history = json::array();
      for (const double share : *curve) {
        const json shares{{"visible", {1 - share}}, {"masked", {share}}};
        history.push_back({{"rollout", shares}, {"literal", shares}, {"images", 1}});
      }
      probe_.emplace(*model_, *source_, loader_, 16, options_.mask.ratio, options_.seed);
      probe_->restore(history);
    }
    return SelfGuided(tiny::guided(options_), {.model = *model_,
                                               .source = *source_,
                                               .loader = loader_,
                                               .folder = folder_,
                                               .mask_ratio = options_.mask.ratio,
                                               .epochs = options_.epochs,
                                               .seed = options_.seed,
                                               .optim = options_,
                                               .compute = options_,
                                               .probe = curve ? &*probe_ : nullptr});
  }

  static void restore(SelfGuided& to, const TaskState& state) {
    to.restore(json::parse(state.json.dump()), {state.tensors, {}});
  }

  // The first epoch at whose beginning guidance starts on a growing curve.
  std::optional<std::int64_t> automatic_start(const std::vector<double>& curve) {
    for (std::size_t epoch = 0; epoch <= curve.size(); ++epoch) {
      const std::vector<double> so_far(curve.begin(),
                                       curve.begin() + static_cast<std::ptrdiff_t>(epoch));
      SelfGuided s = strategy(&so_far);
      if (s.before_epoch(static_cast<std::int64_t>(epoch)).save_now) return s.guide_start();
    }
    return std::nullopt;
  }

  const TemporaryFolder temporary_;
  const fs::path root_ = temporary_.root();
  PretrainOptions options_;
  std::unique_ptr<Source> source_;
  std::unique_ptr<Mae> model_;
  RunFolder folder_;
  LoaderOptions loader_;
  std::optional<ExploitationProbe> probe_;
};

std::vector<double> dip_and_rise() {
  std::vector<double> curve;
  for (int e = 0; e < 10; ++e) curve.push_back(0.75 - 0.05 * e);
  for (int e = 0; e < 15; ++e) curve.push_back(0.30 + 0.02 * e);
  return curve;
}

TEST_F(SelfGuidedTest, FixedStartBeginsInItsEpoch) {
  SelfGuided s = strategy();
  EXPECT_FALSE(s.before_epoch(0).save_now);
  EXPECT_FALSE(s.before_epoch(1).losses_do_not_compare);
  const EpochStart begins = s.before_epoch(2);
  EXPECT_TRUE(begins.save_now);
  EXPECT_TRUE(begins.losses_do_not_compare);
  ASSERT_EQ(begins.news.size(), 2u);
  EXPECT_EQ(begins.news[0], "guidance began after epoch 2 because guide_start is 2");
  EXPECT_TRUE(begins.news[1].starts_with("relevance maps of 96 images")) << begins.news[1];
  EXPECT_EQ(s.guide_start(), 2);
  EXPECT_EQ(s.maps_epoch(), 2);
  EXPECT_TRUE(s.needs_checkpoint({2, 0}));
  EXPECT_FALSE(s.needs_checkpoint({2, 1}));
  EXPECT_FALSE(s.before_epoch(2).save_now)
      << "an epoch that begins again after a resume makes no new maps";
  EXPECT_FALSE(s.before_epoch(3).save_now);
  EXPECT_FALSE(s.before_epoch(3).losses_do_not_compare);
  EXPECT_TRUE(fs::exists(folder_.maps() / "relevance-2.safetensors"));
}

TEST_F(SelfGuidedTest, PrunesMapsThatNoCheckpointNeeds) {
  tiny::guided(options_).mask_refresh_epochs = 3;
  SelfGuided s = strategy();
  for (const std::int64_t epoch : {2, 5, 8}) EXPECT_TRUE(s.before_epoch(epoch).save_now);
  for (const int stranger : {1, 9})
    fs::copy(folder_.maps() / "relevance-2.safetensors",
             folder_.maps() / str("relevance-", stranger, ".safetensors"));
  std::ofstream(folder_.maps() / "relevance-2.txt") << "a user's own";
  s.checkpoints_left({{7, 0}, {8, 0}});  // guided by those of 5 and 8
  std::set<std::string> left;
  for (const auto& entry : fs::directory_iterator(folder_.maps()))
    left.insert(entry.path().filename().string());
  EXPECT_EQ(left, (std::set<std::string>{"relevance-2.txt", "relevance-5.safetensors",
                                         "relevance-8.safetensors"}));
}

TEST_F(SelfGuidedTest, OnlineGuidanceReportsEveryEpoch) {
  tiny::guided(options_).mask_source = MaskSource::online;
  SelfGuided s = strategy();
  ASSERT_TRUE(s.before_epoch(2).save_now);
  Loader images(*source_, loader_);
  images.start_epoch(2);
  PositionBias direct;
  for (Batch batch; images.next(batch);) {
    s.plan(batch, 2);
    GuideOptions guide = tiny::guided(options_).guide;
    guide.mask_ratio = options_.mask.ratio;
    guide.seed = options_.seed;
    const Guide seen = make_guide(*model_, batch.pixels, guide, s.position_mean(), batch.index);
    direct.add(seen.object_side, seen.degenerate);
  }
  SelfGuided resumed = strategy();  // between the last step and the end of the epoch
  restore(resumed, s.state());
  for (SelfGuided* each : {&s, &resumed}) {
    const auto entries = each->after_epoch(2);
    EXPECT_EQ(entries["mask_position_bias"], direct.value());
    EXPECT_EQ(entries["mask_object_share"], direct.object_share());
    EXPECT_EQ(entries["mask_degenerate"], direct.degenerate());
  }
}

TEST_F(SelfGuidedTest, AutomaticStartWaitsForTheRise) {
  tiny::guided(options_).guide_start = "auto";
  const auto start = automatic_start(dip_and_rise());
  ASSERT_TRUE(start);
  EXPECT_GT(*start, 10) << "not before the lowest share";
  EXPECT_LT(*start, 20);
}

TEST_F(SelfGuidedTest, AutomaticStartNeverBeginsOnAnUntrainedCurve) {
  tiny::guided(options_).guide_start = "auto";
  EXPECT_EQ(automatic_start(std::vector<double>(20, 0.75)), std::nullopt);
}

TEST_F(SelfGuidedTest, AutomaticVerdictStandsBesideAFixedStart) {
  const auto curve = dip_and_rise();
  SelfGuided s = strategy(&curve);
  s.before_epoch(25);
  EXPECT_NE(s.guide_reason().find("guide_start is 2; the automatic rule says: "), std::string::npos)
      << s.guide_reason();
}

TEST_F(SelfGuidedTest, RollingBackToBeforeTheStartUndoesIt) {
  SelfGuided s = strategy();
  const TaskState before = s.state();
  s.before_epoch(2);
  restore(s, before);
  EXPECT_EQ(s.guide_start(), std::nullopt);
  Loader images(*source_, loader_);
  images.start_epoch(2);
  Batch batch;
  ASSERT_TRUE(images.next(batch));
  RandomMask random(16, 0.75, options_.seed);
  EXPECT_TRUE(at::equal(s.plan(batch, 2).order, random.plan(batch, 2).order));
}

TEST_F(SelfGuidedTest, OtherFeaturesThanTheCheckpointsAreLookedAtAnew) {
  tiny::guided(options_).guide.center = GuideCenter::position;
  SelfGuided s = strategy();
  s.before_epoch(2);
  EXPECT_EQ(s.description()[position_mean_tap_key], "encoder.1.attention_out");
  const TaskState key = s.state();
  tiny::guided(options_).guide.features = GuideFeatures::key;
  SelfGuided other = strategy();
  restore(other, key);
  EXPECT_EQ(other.guide_start(), 2);
  EXPECT_EQ(other.maps_epoch(), std::nullopt);
  EXPECT_FALSE(other.position_mean().defined()) << "those of attention_out";
  EXPECT_TRUE(other.before_epoch(3).save_now);
  EXPECT_EQ(other.maps_epoch(), 3);
  EXPECT_EQ(other.description()[position_mean_tap_key], "encoder.1.key");
  EXPECT_FALSE(at::equal(other.position_mean(), s.position_mean()));
}

TEST_F(SelfGuidedTest, GuidanceOfAnotherSourceIsMadeAnew) {
  using enum MaskSource;
  for (const auto& [there, here] : {std::pair{stored, online}, {online, stored}}) {
    tiny::guided(options_).mask_source = there;
    SelfGuided first = strategy();
    first.before_epoch(2);
    const TaskState state = first.state();
    fs::remove(folder_.maps() / "relevance-2.safetensors");  // of another run
    tiny::guided(options_).mask_source = here;
    SelfGuided other = strategy(), again = strategy();
    restore(other, state);
    EXPECT_EQ(other.guide_start(), 2);
    EXPECT_EQ(other.maps_epoch(), std::nullopt);
    restore(again, other.state());  // rolled back to where it began
    for (SelfGuided* each : {&other, &again}) {
      EXPECT_TRUE(each->before_epoch(3).save_now);
      EXPECT_EQ(each->maps_epoch(), 3);
      EXPECT_EQ(fs::exists(folder_.maps() / "relevance-3.safetensors"), here == stored);
    }
    fs::remove(folder_.maps() / "relevance-3.safetensors");
  }
}

TEST_F(SelfGuidedTest, StateGoesThroughTextExactly) {
  tiny::guided(options_).guide.center = GuideCenter::position;
  SelfGuided s = strategy(), copy = strategy();
  s.before_epoch(2);
  s.after_epoch(2);
  restore(copy, s.state());
  EXPECT_EQ(copy.state().json, s.state().json);
  EXPECT_TRUE(at::equal(copy.position_mean(), s.position_mean()));
  EXPECT_EQ(copy.after_epoch(2), s.after_epoch(2));
}

TEST_F(SelfGuidedTest, DescriptionSaysWhenItBegan) {
  SelfGuided s = strategy();
  EXPECT_FALSE(s.description().contains("start"));
  s.before_epoch(2);
  EXPECT_EQ(s.description()["start"], 2);
}

}  // namespace
}  // namespace sgmae
