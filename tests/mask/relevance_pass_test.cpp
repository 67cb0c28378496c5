// Oracles: make_guide on the same images; variances of positions worked out by hand.
#include "sgmae/mask/relevance_pass.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>

#include "sgmae/base/error.h"
#include "sgmae/base/log.h"
#include "sgmae/base/rng.h"
#include "tests/support/temporary_folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

MaeConfig tiny() {
  return {.height = 24,
          .width = 24,
          .channels = 1,
          .patch_size = 4,
          .encoder = {16, 2, 2},
          .decoder = {16, 1, 2}};
}

// Batches of `size` of these images, in order.
NextBatch batches(const at::Tensor& pixels, std::int64_t size) {
  return [pixels, size, at = std::int64_t{0}](Batch& batch) mutable {
    if (at >= pixels.size(0)) return false;
    const std::int64_t end = std::min(at + size, pixels.size(0));
    batch = {};
    batch.pixels = pixels.slice(0, at, end);
    for (; at < end; ++at) batch.index.push_back(at);
    return true;
  };
}

TEST(PositionBias, IsTheVarianceOverPositions) {
  PositionBias bias;
  EXPECT_EQ(bias.value(), 0);
  // Two images, four positions; a third, degenerate, does not count.
  bias.add(at::tensor({1, 1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1}).to(at::kByte).view({3, 4}), {0, 0, 1});
  EXPECT_EQ(bias.images(), 2);
  EXPECT_EQ(bias.degenerate(), 1);
  EXPECT_DOUBLE_EQ(bias.object_share(), 0.5);
  EXPECT_DOUBLE_EQ(bias.value(), (0.25 + 0 + 0.25 + 0) / 4);  // means 1, .5, 0, .5
  EXPECT_DOUBLE_EQ(bias.by_chance(), 0.125);
  EXPECT_FALSE(bias.follows_position()) << "two images prove nothing";

  PositionBias copy;
  copy.restore(nlohmann::json::parse(bias.state().dump()));
  EXPECT_EQ(copy.state(), bias.state());
  EXPECT_EQ(copy.value(), bias.value());
}

TEST(PositionBias, OfTheSameHalfEveryTimeIsAQuarter) {
  PositionBias bias;
  at::Tensor side = at::zeros({500, 64}, at::kByte);
  side.slice(1, 0, 32).fill_(1);
  bias.add(side, std::vector<std::uint8_t>(500, 0));
  EXPECT_DOUBLE_EQ(bias.value(), 0.25);
  EXPECT_TRUE(bias.follows_position());
}

TEST(PositionBias, OfCoinTossesIsChance) {
  PositionBias bias;
  at::Tensor side = at::zeros({2000, 64}, at::kByte);
  Rng rng(3, 0, 0, Purpose::probe);
  for (std::int64_t i = 0; i < side.numel(); ++i)
    side.data_ptr<std::uint8_t>()[i] = rng.uniform() < 0.5;
  bias.add(side, std::vector<std::uint8_t>(2000, 0));
  EXPECT_NEAR(bias.by_chance(), 0.000125, 1e-6);
  EXPECT_NEAR(bias.value(), 0.000125, 1e-4);  // its own deviation is 2.2e-5
}

TEST(PositionSample, IsASortedSample) {
  const std::vector<std::int64_t> sample = position_sample(1000, 50, 1, 2);
  EXPECT_EQ(sample.size(), 50u);
  EXPECT_TRUE(std::is_sorted(sample.begin(), sample.end()));
  EXPECT_EQ(std::adjacent_find(sample.begin(), sample.end()), sample.end());
  EXPECT_GT(sample.back(), 800);  // from everywhere, not from the front
  EXPECT_EQ(position_sample(10, 50, 1, 2).size(), 10u);
  EXPECT_EQ(sample, position_sample(1000, 50, 1, 2));
}

class Pass : public ::testing::Test {
 protected:
  void SetUp() override { set_log_quiet(true); }

  static MapInfo info(const GuideOptions& options) {
    return {.images = 7,
            .rows = 6,
            .columns = 6,
            .model_hash = "x",
            .epoch = 3,
            .tap = guide_tap(tiny(), options),
            .center = options.center};
  }
  const TemporaryFolder temporary_;
  const fs::path folder_ = temporary_.root();
};

TEST_F(Pass, PositionMeanIsTheMeanOverImages) {
  const Mae model(tiny(), 5);
  const at::Tensor pixels = at::randn({7, 1, 24, 24});
  const GuideOptions options{.center = GuideCenter::position};
  const at::Tensor mean = estimate_position_mean(model, options, batches(pixels, 3));
  EXPECT_LT((mean - guide_features(model, pixels, options).mean(0)).abs().max().item<double>(),
            1e-5);  // fp32, batches of another size
  EXPECT_THROW(estimate_position_mean(model, options, batches(pixels.slice(0, 0, 0), 3)), Error);
}

TEST_F(Pass, StoresTheRelevanceOfEveryImage) {
  const Mae model(tiny(), 5);
  at::Tensor pixels = at::randn({7, 1, 24, 24});
  pixels[4].fill_(std::numeric_limits<float>::quiet_NaN());
  const GuideOptions options{.center = GuideCenter::position};
  const at::Tensor mean = estimate_position_mean(model, options, batches(pixels.slice(0, 0, 4), 3));
  const fs::path path = folder_ / "maps.safetensors";
  const RelevancePassStats stats =
      make_relevance_maps(model, options, mean, batches(pixels, 3), path, info(options));
  EXPECT_EQ(stats.images, 7);
  EXPECT_EQ(stats.degenerate, 1);
  const RelevanceMaps maps(path);
  EXPECT_TRUE(maps.position_mean().equal(mean));
  EXPECT_NO_THROW(check_maps(maps.info(), info(options), path));
  const Guide guide = make_guide(model, pixels, options, mean);
  PositionBias bias;
  bias.add(guide.object_side, guide.degenerate);
  EXPECT_NEAR(stats.position_bias, bias.value(), 1e-9);
  EXPECT_NEAR(stats.object_share, bias.object_share(), 1e-9);
  for (std::int64_t i = 0; i < 7; ++i) {
    const std::vector<float> map = maps.map(i);
    for (std::int64_t p = 0; p < 36; ++p)
      if (i == 4)
        EXPECT_TRUE(std::isnan(map[p]));
      else  // half a step of fp16 below 1
        EXPECT_NEAR(map[p], guide.relevance[i][p].item<float>(), 0x1p-12 + 1e-5);
  }
}

TEST_F(Pass, LeavesUnreadImagesWithoutGuidance) {
  const Mae model(tiny(), 5);
  const at::Tensor pixels = at::randn({4, 1, 24, 24});
  const GuideOptions options{.center = GuideCenter::none};
  const fs::path path = folder_ / "maps.safetensors";
  testing::internal::CaptureStderr();
  const RelevancePassStats stats =
      make_relevance_maps(model, options, {}, batches(pixels, 4), path, info(options));
  EXPECT_EQ(stats.unreadable, 3);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("3 of 7 images cannot be read"),
            std::string::npos);
  const RelevanceMaps maps(path);
  EXPECT_TRUE(std::isfinite(maps.map(3)[0]));
  EXPECT_TRUE(std::isnan(maps.map(6)[0]));
}

TEST_F(Pass, SaysWhenGuidanceFollowsPosition) {
  // Every image the same: the cut always falls at the same place.
  const Mae model(tiny(), 5);
  const at::Tensor pixels = at::randn({1, 1, 24, 24}).expand({7, 1, 24, 24}).contiguous();
  const GuideOptions options{.object = ObjectRule::eigenvector};
  const RelevancePassStats stats = make_relevance_maps(model, options, {}, batches(pixels, 7),
                                                       folder_ / "maps.safetensors", info(options));
  EXPECT_NEAR(stats.position_bias, stats.object_share * (1 - stats.object_share), 1e-9);
  EXPECT_EQ(stats.follows_position,
            stats.position_bias - stats.bias_by_chance > kPositionBiasWarning);
}

}  // namespace
}  // namespace sgmae
