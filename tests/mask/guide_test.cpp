// Oracles: the model's own taps; the pieces (graph, cut, relevance), each tested by itself.
#include "sgmae/mask/guide.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <limits>

#include "sgmae/base/error.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/ncut/graph.h"
#include "sgmae/ncut/relevance.h"

namespace sgmae {
namespace {

MaeConfig tiny() {
  return {.height = 24,
          .width = 32,
          .channels = 3,
          .patch_size = 4,
          .encoder = {16, 3, 2},
          .decoder = {16, 2, 2}};
}

TEST(GuideTap, CountsBlocksFromEitherEnd) {
  GuideOptions options;
  EXPECT_EQ(guide_tap(named_config("mae_vit_base_patch16"), options), "encoder.10.attention_out");
  EXPECT_EQ(guide_tap(named_config("mae_vit_large_patch16"), options), "encoder.22.attention_out");
  options = {.part = GuidePart::decoder, .layer = -1, .features = GuideFeatures::block_out};
  EXPECT_EQ(guide_tap(tiny(), options), "decoder.1.block_out");
  options = {.layer = 0, .features = GuideFeatures::key};
  EXPECT_EQ(guide_tap(tiny(), options), "encoder.0.key");
  for (const std::int64_t layer : {3, -4, 100}) {
    options.layer = layer;
    try {
      guide_tap(tiny(), options);
      FAIL() << layer;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ExitCode::usage);
    }
  }
}

TEST(GuideTap, OfPositionMeansIsSaidOrFollowsFromTheOptions) {
  const MaeConfig config;
  const std::string last = str("encoder.", config.encoder.depth - 1, ".");
  ModelInfo info;
  EXPECT_EQ(position_mean_tap(info, config), "");
  info.guide = {{"guide_layer", -1}, {"guide_part", "encoder"}, {"guide_features", "key"}};
  EXPECT_EQ(position_mean_tap(info, config), last + "key");
  EXPECT_EQ(position_mean_tap(info, encoder_config(config)), last + "key");
  info.guide["guide_part"] = "decoder";
  EXPECT_EQ(position_mean_tap(info, config), str("decoder.", config.decoder.depth - 1, ".key"));
  EXPECT_EQ(position_mean_tap(info, encoder_config(config)), "") << "it has no decoder";
  for (const nlohmann::json& unfit : {nlohmann::json(99), nlohmann::json("x"), nlohmann::json()}) {
    info.guide["guide_layer"] = unfit;
    EXPECT_EQ(position_mean_tap(info, config), "") << unfit;
  }
  info.guide[position_mean_tap_key] = "encoder.0.block_out";
  EXPECT_EQ(position_mean_tap(info, config), "encoder.0.block_out");
}

TEST(GuideFeatures, AreTheTapWithoutCls) {
  const Mae model(tiny(), 1);
  const at::Tensor pixels = at::randn({3, 3, 24, 32});
  for (const GuideFeatures kind :
       {GuideFeatures::attention_out, GuideFeatures::block_out, GuideFeatures::key}) {
    const GuideOptions options{.layer = 1, .features = kind};
    Taps taps({guide_tap(tiny(), options)});
    model.encode(pixels, &taps);
    const at::Tensor features = guide_features(model, pixels, options);
    ASSERT_EQ(features.sizes(), at::IntArrayRef({3, 48, 16}));
    EXPECT_TRUE(features.equal(taps[guide_tap(tiny(), options)].slice(1, 1)));
  }
}

TEST(GuideFeatures, OfADecoderLayerComeFromRandomMasksOfEachImage) {
  const Mae model(tiny(), 1);
  const at::Tensor pixels = at::randn({2, 3, 24, 32});
  const GuideOptions options{.part = GuidePart::decoder, .layer = -1, .seed = 9};
  Taps taps({"decoder.1.attention_out"});
  model.forward(pixels, random_plan({40, 7}, 48, 12, 9, 0), &taps);
  const at::Tensor features = guide_features(model, pixels, options, {40, 7});
  EXPECT_TRUE(features.equal(taps["decoder.1.attention_out"].slice(1, 1)));
}

TEST(Guide, PutsThePiecesTogether) {
  const at::Tensor x = at::randn({4, 48, 8});
  const at::Tensor position_mean = 0.3 * at::randn({48, 8});
  for (const GuideCenter center : {GuideCenter::none, GuideCenter::mean, GuideCenter::position}) {
    const GuideOptions options{.center = center};
    const Guide guide = guide_from_features(x, 8, options, position_mean);
    const at::Tensor centered = center_features(x, center, position_mean);
    const Bipartition cut = bipartition(similarity(centered));
    EXPECT_TRUE(guide.similarity.equal(similarity(centered)));
    EXPECT_TRUE(guide.object_side.equal(cut.object_side));
    EXPECT_TRUE(guide.eigenvector.equal(cut.eigenvector));
    EXPECT_TRUE(guide.relevance.equal(relevance(centered, cut.object_side)));
    EXPECT_EQ(guide.degenerate, cut.degenerate);
  }
}

// Relevance is to the side that is taken, so it turns with it.
TEST(Guide, RanksByTheInnerSideWhereAsked) {
  at::manual_seed(0);  // once in 256 draws no side is exchanged
  const at::Tensor x = at::randn({8, 48, 8});
  const Guide guide =
      guide_from_features(x, 8, {.center = GuideCenter::none, .object = ObjectRule::inside});
  Bipartition cut = bipartition(similarity(x));
  const at::Tensor by_eigenvector = cut.object_side.clone();
  take_inner_side(cut, 8);
  EXPECT_FALSE(cut.object_side.equal(by_eigenvector));  // some are exchanged
  EXPECT_TRUE(guide.object_side.equal(cut.object_side));
  EXPECT_TRUE(guide.eigenvector.equal(cut.eigenvector));
  EXPECT_TRUE(guide.relevance.equal(relevance(x, cut.object_side)));
}

TEST(Guide, GivesNoRelevanceToDegenerateImages) {
  at::Tensor x = at::randn({3, 48, 8});
  x[0].fill_(1);
  x[2][5][5] = std::numeric_limits<float>::quiet_NaN();
  const Guide guide = guide_from_features(x, 8, {.center = GuideCenter::none});
  EXPECT_EQ(guide.degenerate, (std::vector<std::uint8_t>{1, 0, 1}));
  EXPECT_TRUE(guide.relevance[0].isnan().all().item<bool>());
  EXPECT_TRUE(guide.relevance[1].isfinite().all().item<bool>());
  EXPECT_TRUE(guide.relevance[2].isnan().all().item<bool>());
}

TEST(Guide, OfAConstantImageCentredByItsMeanIsDegenerate) {
  const Guide guide =
      guide_from_features(at::full({1, 48, 8}, 0.7, at::kFloat), 8, {.center = GuideCenter::mean});
  EXPECT_EQ(guide.degenerate[0], 1);
}

TEST(Guide, NeedsPositionMeansForCentringByPosition) {
  EXPECT_THROW(guide_from_features(at::randn({1, 48, 8}), 8, {.center = GuideCenter::position}),
               Error);
}

}  // namespace
}  // namespace sgmae
