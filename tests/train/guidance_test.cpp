// Oracle: curves made by hand, put in through the saved state, and the measurement done directly.
#include "sgmae/train/guidance.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "sgmae/base/log.h"
#include "tests/support/temporary_folder.h"
#include "tests/train/tiny_run.h"

namespace sgmae {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

class GuidanceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_quiet(true);
    tiny::write_images(root_ / "data");
    options_ = tiny::options(root_ / "data", root_ / "run");
    options_.epochs = 40;
    source_ = open_source(options_.data_path);
    model_ = std::make_unique<Mae>(model_config(options_, 1), 1);
    folder_ = open_run_folder(options_);
  }

  Guidance guidance() const {
    LoaderOptions loader;
    loader.batch_size = 8;
    loader.num_workers = 0;
    loader.height = loader.width = tiny::side;
    loader.channels = 1;
    return Guidance(options_, *source_, loader, *model_, folder_);
  }

  // The state of a run whose mask tokens' share went along `curve`.
  json state_with(const std::vector<double>& curve) const {
    json state = guidance().state();
    for (const double share : curve) {
      const json shares{{"visible", {1 - share}}, {"masked", {share}}};
      state["history"].push_back({{"rollout", shares}, {"literal", shares}, {"images", 1}});
    }
    return state;
  }

  // The first epoch at whose beginning guidance starts on a growing curve.
  std::optional<std::int64_t> automatic_start(const std::vector<double>& curve) const {
    for (std::size_t epoch = 0; epoch <= curve.size(); ++epoch) {
      Guidance g = guidance();
      g.restore(state_with({curve.begin(), curve.begin() + static_cast<std::ptrdiff_t>(epoch)}),
                {});
      if (g.begin_epoch(static_cast<std::int64_t>(epoch))) return g.start();
    }
    return std::nullopt;
  }

  const TemporaryFolder temporary_;
  const fs::path root_ = temporary_.root();
  PretrainOptions options_;
  std::unique_ptr<Source> source_;
  std::unique_ptr<Mae> model_;
  RunFolder folder_;
};

std::vector<double> dip_and_rise() {
  std::vector<double> curve;
  for (int e = 0; e < 10; ++e) curve.push_back(0.75 - 0.05 * e);
  for (int e = 0; e < 15; ++e) curve.push_back(0.30 + 0.02 * e);
  return curve;
}

TEST_F(GuidanceTest, FixedStartBeginsInItsEpoch) {
  Guidance g = guidance();
  EXPECT_FALSE(g.begin_epoch(0));
  EXPECT_FALSE(g.begin_epoch(1));
  EXPECT_FALSE(g.changes_masks(1));
  EXPECT_TRUE(g.begin_epoch(2));
  EXPECT_TRUE(g.changes_masks(2));
  EXPECT_EQ(g.start(), 2);
  EXPECT_EQ(g.maps_epoch(), 2);
  EXPECT_FALSE(g.begin_epoch(2)) << "an epoch that begins again after a resume makes no new maps";
  EXPECT_FALSE(g.begin_epoch(3));
  EXPECT_FALSE(g.changes_masks(3));
  EXPECT_TRUE(fs::exists(folder_.maps() / "relevance-2.safetensors"));
}

TEST_F(GuidanceTest, PrunesMapsThatNoCheckpointNeeds) {
  options_.mask_refresh_epochs = 3;
  Guidance g = guidance();
  for (const std::int64_t epoch : {2, 5, 8}) EXPECT_TRUE(g.begin_epoch(epoch));
  for (const int stranger : {1, 9})
    fs::copy(folder_.maps() / "relevance-2.safetensors",
             folder_.maps() / str("relevance-", stranger, ".safetensors"));
  std::ofstream(folder_.maps() / "relevance-2.txt") << "a user's own";
  g.prune_maps({7, 8});  // guided by those of 5 and 8
  std::set<std::string> left;
  for (const auto& entry : fs::directory_iterator(folder_.maps()))
    left.insert(entry.path().filename().string());
  EXPECT_EQ(left, (std::set<std::string>{"relevance-2.txt", "relevance-5.safetensors",
                                         "relevance-8.safetensors"}));
}

TEST_F(GuidanceTest, OnlineGuidanceReportsEveryEpoch) {
  options_.mask_source = MaskSource::online;
  Guidance g = guidance();
  ASSERT_TRUE(g.begin_epoch(2));
  LoaderOptions loader;
  loader.batch_size = 8;
  loader.num_workers = 0;
  loader.height = loader.width = tiny::side;
  loader.channels = 1;
  Loader images(*source_, loader);
  images.start_epoch(2);
  PositionBias direct;
  for (Batch batch; images.next(batch);) {
    g.plan(batch, 2);
    GuideOptions guide = options_.guide;
    guide.mask_ratio = options_.mask_ratio;
    guide.seed = options_.seed;
    const Guide seen = make_guide(*model_, batch.pixels, guide, g.position_mean(), batch.index);
    direct.add(seen.object_side, seen.degenerate);
  }
  Guidance resumed = guidance();  // between the last step and the end of the epoch
  resumed.restore(json::parse(g.state().dump()), g.position_mean());
  for (Guidance* each : {&g, &resumed}) {
    each->end_epoch(2);
    const auto entries = each->log_entries();
    EXPECT_EQ(entries["mask_position_bias"], direct.value());
    EXPECT_EQ(entries["mask_object_share"], direct.object_share());
    EXPECT_EQ(entries["mask_degenerate"], direct.degenerate());
  }
}

TEST_F(GuidanceTest, AutomaticStartWaitsForTheRise) {
  options_.guide_start = "auto";
  const auto start = automatic_start(dip_and_rise());
  ASSERT_TRUE(start);
  EXPECT_GT(*start, 10) << "not before the lowest share";
  EXPECT_LT(*start, 20);
}

TEST_F(GuidanceTest, AutomaticStartNeverBeginsOnAnUntrainedCurve) {
  options_.guide_start = "auto";
  EXPECT_EQ(automatic_start(std::vector<double>(20, 0.75)), std::nullopt);
}

TEST_F(GuidanceTest, AutomaticVerdictStandsBesideAFixedStart) {
  Guidance g = guidance();
  g.restore(state_with(dip_and_rise()), {});
  EXPECT_TRUE(g.log_entries().contains("guide_auto_epoch"));
  g.begin_epoch(25);
  EXPECT_NE(g.reason().find("guide_start is 2; the automatic rule says: "), std::string::npos)
      << g.reason();
}

TEST_F(GuidanceTest, MeasuresEveryDecoderLayerInBothReadings) {
  Guidance g = guidance();
  g.end_epoch(0);
  const auto entries = g.log_entries();
  EXPECT_EQ(entries["mask_R_M_layers"].size(), 1u);
  EXPECT_NEAR(entries["mask_R_M"].get<double>() + entries["mask_R_V"].get<double>(), 1, 1e-5);
  EXPECT_TRUE(entries.contains("mask_R_M_literal"));
  // An untrained decoder attends almost evenly: the share is that of the masked patches, 12 of 16.
  EXPECT_NEAR(entries["mask_R_M"].get<double>(), 0.75, 0.05);
}

TEST_F(GuidanceTest, RandomMasksAreMeasuredToo) {
  options_.mask_strategy = MaskStrategyKind::random;
  Guidance g = guidance();
  EXPECT_FALSE(g.begin_epoch(39));
  g.end_epoch(0);
  EXPECT_TRUE(g.log_entries().contains("mask_R_M"));
  EXPECT_FALSE(g.self_guided());
  EXPECT_TRUE(g.description().is_null());
}

TEST_F(GuidanceTest, ProbeCanBeTurnedOff) {
  options_.probe_images = 0;
  Guidance g = guidance();
  g.end_epoch(0);
  EXPECT_FALSE(g.log_entries().contains("mask_R_M"));
}

TEST_F(GuidanceTest, RollingBackToBeforeTheStartUndoesIt) {
  Guidance g = guidance();
  const json before = g.state();
  g.begin_epoch(2);
  g.restore(before, {});
  EXPECT_EQ(g.start(), std::nullopt);
  LoaderOptions loader;
  loader.batch_size = 4;
  loader.num_workers = 0;
  loader.height = loader.width = tiny::side;
  loader.channels = 1;
  Loader images(*source_, loader);
  images.start_epoch(2);
  Batch batch;
  ASSERT_TRUE(images.next(batch));
  RandomMask random(16, 0.75, options_.seed);
  EXPECT_TRUE(at::equal(g.plan(batch, 2).order, random.plan(batch, 2).order));
}

TEST_F(GuidanceTest, StateGoesThroughTextExactly) {
  Guidance g = guidance(), copy = guidance();
  g.begin_epoch(2);
  g.end_epoch(2);
  copy.restore(json::parse(g.state().dump()), g.position_mean());
  EXPECT_EQ(copy.state(), g.state());
  EXPECT_EQ(copy.log_entries(), g.log_entries());
}

TEST_F(GuidanceTest, DescriptionNamesTheOptions) {
  Guidance g = guidance();
  EXPECT_EQ(g.description()["guide_layer"], -2);
  EXPECT_EQ(g.description()["hint_decay"], "quadratic");
  EXPECT_FALSE(g.description().contains("start"));
  g.begin_epoch(2);
  EXPECT_EQ(g.description()["start"], 2);
}

}  // namespace
}  // namespace sgmae
