// Oracles: the model's own taps; the pieces (graph, cut, relevance), each tested by itself.
#include "sgmae/mask/guide.h"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <limits>
#include <tuple>

#include "sgmae/base/error.h"
#include "sgmae/mask/strategy.h"
#include "sgmae/ncut/graph.h"
#include "sgmae/ncut/object_side.h"
#include "sgmae/ncut/relevance.h"
#include "sgmae/nn/vit.h"
#include "tests/support/other_device.h"
#include "tests/support/tensors.h"

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
  EXPECT_EQ(guide_tap(named_config("mae_vit_base_patch16"), options), "encoder.11.attention_out");
  options = guide_options(GuideChoice::paper);
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

// Everything but features comes back; fp32 sums in another order change those by 1e-6.
TEST(Guide, OfAnotherDeviceIsThatOfTheCpu) {
  const at::Device device = other_device();
  Mae here(tiny(), 1), there(tiny(), 1);
  there.move_to(device);
  const at::Tensor pixels = at::randn({4, 3, 24, 32});
  for (const auto& [name, rule] : object_rules()) {
    const GuideOptions options{
        .features = GuideFeatures::block_out, .center = GuideCenter::mean, .object = rule};
    const Guide expected = make_guide(here, pixels, options, {}, {7, 1, 2, 3});
    const Guide found = make_guide(there, pixels, options, {}, {7, 1, 2, 3});
    EXPECT_EQ(found.features.device(), device);
    ASSERT_TRUE(found.relevance.is_cpu() && found.object_side.is_cpu());
    EXPECT_LT(relative_error(found.features, expected.features), 1e-5) << name;
    EXPECT_LT(relative_error(found.relevance, expected.relevance), 1e-3) << name;
    EXPECT_TRUE(found.object_side.equal(expected.object_side)) << name;
    EXPECT_EQ(found.degenerate, expected.degenerate);
  }
}

TEST(Guide, PutsThePiecesTogether) {
  const at::Tensor x = at::randn({4, 48, 8});
  const at::Tensor position_mean = 0.3 * at::randn({48, 8});
  for (const GuideCenter center : {GuideCenter::none, GuideCenter::mean, GuideCenter::position}) {
    const GuideOptions options{.center = center, .object = ObjectRule::eigenvector};
    const Guide guide = guide_from_features(x, 8, options, position_mean);
    const at::Tensor centered = center_features(x, center, position_mean);
    const Bipartition cut = bipartition(similarity(centered));
    EXPECT_TRUE(similarity(guide.features).equal(similarity(centered)));
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
  take_object_side(cut, similarity(x), 8, {.object = ObjectRule::inside});
  EXPECT_FALSE(cut.object_side.equal(by_eigenvector));  // some are exchanged
  EXPECT_TRUE(guide.object_side.equal(cut.object_side));
  EXPECT_TRUE(guide.eigenvector.equal(cut.eigenvector));
  EXPECT_TRUE(guide.relevance.equal(relevance(x, cut.object_side)));
}

// One rule after the other, each with what it asks for.
TEST(Guide, TakesTheSideThatTheRuleNames) {
  at::manual_seed(0);
  const at::Tensor x = at::randn({8, 48, 8}), evidence = at::randn({8, 48});
  const at::Tensor weights = similarity(x);
  Bipartition smaller = bipartition(weights), lower = smaller, higher = smaller;
  take_smaller_side(smaller);
  take_higher_side(lower, negative_degree(weights));
  take_higher_side(higher, evidence);
  const auto side = [&](ObjectRule rule) {
    const Guide guide = guide_from_features(x, 8, {.object = rule}, {}, evidence);
    EXPECT_TRUE(guide.relevance.equal(relevance(x, guide.object_side)));
    return guide.object_side;
  };
  EXPECT_TRUE(side(ObjectRule::smaller).equal(smaller.object_side));
  EXPECT_TRUE(side(ObjectRule::degree).equal(lower.object_side));
  EXPECT_TRUE(side(ObjectRule::error).equal(higher.object_side));
  EXPECT_TRUE(side(ObjectRule::variance).equal(higher.object_side));
}

TEST(Guide, ToTheHardestIsWithoutACut) {
  const at::Tensor x = at::randn({3, 48, 8});
  at::Tensor errors = at::rand({3, 48});
  errors[2].fill_(1);  // nothing is harder than anything else
  const Guide guide = guide_from_features(x, 8, {}, {}, errors);
  EXPECT_EQ(guide.degenerate, (std::vector<std::uint8_t>{0, 0, 1}));
  EXPECT_FALSE(guide.eigenvector.defined());
  EXPECT_TRUE(similarity(guide.features).equal(similarity(x)));
  for (int image = 0; image < 2; ++image) {
    const at::Tensor hardest = std::get<1>(errors[image].topk(12));
    const at::Tensor mean = x[image].index_select(0, hardest).mean(0);
    const at::Tensor cosine = at::mv(x[image], mean) / (x[image].norm(2, 1) * mean.norm());
    EXPECT_TRUE(guide.relevance[image].allclose(cosine, 1e-4, 1e-5));
    EXPECT_TRUE(guide.object_side[image].equal((cosine >= cosine.mean()).to(at::kByte)));
  }
  EXPECT_TRUE(guide.relevance[2].isnan().all().item<bool>());
  EXPECT_EQ(guide.object_side[2].sum().item<std::int64_t>(), 0);
}

TEST(Guide, OfADecoderlessModelHasNoErrors) {
  const Vit model(encoder_config(tiny()), 1);
  const Encoder& encoder = model.encoder();
  const at::Tensor pixels = at::randn({2, 3, 24, 32});
  try {
    make_guide(encoder, pixels, {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::usage);
  }
  EXPECT_EQ(make_guide(encoder, pixels, guide_options(GuideChoice::paper)).degenerate.size(), 2u);
}

// What comes after the word counts, and the word alone sets all.
TEST(GuideChoice, IsOneWordForAllOptions) {
  GuideOptions guide;
  Options options;
  options.section("mask");
  declare_guide(options, guide);
  options.set("guide", "paper", "");
  EXPECT_EQ(guide.layer, -2);
  EXPECT_EQ(guide.object, ObjectRule::eigenvector);
  EXPECT_EQ(guide.center, GuideCenter::none);
  options.set("guide_layer", "3", "");
  EXPECT_EQ(guide.layer, 3);
  GuideOptions again;
  Options other;
  other.section("mask");
  declare_guide(other, again);
  other.load_toml(options.to_toml(), "");
  EXPECT_EQ(again.choice, GuideChoice::paper);
  EXPECT_EQ(again.layer, 3);
  EXPECT_EQ(again.object, ObjectRule::eigenvector);
  options.set("guide", "hardest", "");
  EXPECT_EQ(guide.layer, -1);
  EXPECT_EQ(guide.object, ObjectRule::hardest);
}

TEST(Guide, GivesNoRelevanceToDegenerateImages) {
  at::Tensor x = at::randn({3, 48, 8});
  x[0].fill_(1);
  x[2][5][5] = std::numeric_limits<float>::quiet_NaN();
  const Guide guide = guide_from_features(x, 8, {.object = ObjectRule::eigenvector});
  EXPECT_EQ(guide.degenerate, (std::vector<std::uint8_t>{1, 0, 1}));
  EXPECT_TRUE(guide.relevance[0].isnan().all().item<bool>());
  EXPECT_TRUE(guide.relevance[1].isfinite().all().item<bool>());
  EXPECT_TRUE(guide.relevance[2].isnan().all().item<bool>());
}

TEST(Guide, OfAConstantImageCentredByItsMeanIsDegenerate) {
  const Guide guide =
      guide_from_features(at::full({1, 48, 8}, 0.7, at::kFloat), 8,
                          {.center = GuideCenter::mean, .object = ObjectRule::eigenvector});
  EXPECT_EQ(guide.degenerate[0], 1);
}

TEST(Guide, NeedsPositionMeansForCentringByPosition) {
  EXPECT_THROW(guide_from_features(at::randn({1, 48, 8}), 8, {.center = GuideCenter::position}),
               Error);
}

}  // namespace
}  // namespace sgmae
