// Oracle: the words of MAE's and our command lines.
#include "sgmae/mask/registry.h"

#include <gtest/gtest.h>

#include "sgmae/mask/self_guided.h"

namespace sgmae {
namespace {

TEST(MaskOptions, EveryStrategyIsAWordOfTheOptionAndBringsItsOwn) {
  MaskOptions options;
  Options declared;
  options.declare(declared);
  std::string words;
  for (const MaskStrategyEntry& entry : mask_strategies())
    words += str(words.empty() ? "" : "|", entry.name);
  EXPECT_EQ(declared.all().at(1).type, words);
  EXPECT_EQ(words.find("random|"), 0u);
  declared.set("mask_strategy", "self_guided", "--mask_strategy");
  declared.set("hint_ratio", "0.1", "--hint_ratio");
  EXPECT_EQ(options.of<SelfGuidedOptions>().hints.ratio, 0.1);
  EXPECT_EQ(&options.chosen(), &options.of<SelfGuidedOptions>());
  EXPECT_THROW(declared.set("mask_strategy", "guided", "--mask_strategy"), Error);
}

TEST(MaskOptions, CopiesAreTheirOwn) {
  MaskOptions one;
  MaskOptions other = one;
  other.of<SelfGuidedOptions>().guide_start = "7";
  EXPECT_EQ(one.of<SelfGuidedOptions>().guide_start, "");
  one = other;
  EXPECT_EQ(one.of<SelfGuidedOptions>().guide_start, "7");
  other.of<SelfGuidedOptions>().guide_start = "8";
  EXPECT_EQ(one.described()["guide_start"], "7");
}

TEST(MaskOptions, DescribesTheChosenStrategyAndTheGuide) {
  MaskOptions options;
  options.strategy = "hpm";
  const nlohmann::json described = options.described();
  EXPECT_EQ(described["mask_strategy"], "hpm");
  EXPECT_EQ(described["mask_ratio"], 0.75);
  EXPECT_EQ(described["hpm_loss"], "relative");
  EXPECT_EQ(described["guide"], "hardest");
  for (const auto& [name, unused] : described.items())
    EXPECT_TRUE(name.starts_with("mask_") || name.starts_with("hpm_") ||
                name.starts_with("guide") || name.starts_with("hint_"))
        << name;
}

TEST(MaskOptions, SaysHowLongMasksAreRandom) {
  MaskOptions options;
  EXPECT_EQ(options.chosen().random_epochs(400), 400);
  options.strategy = "self_guided";
  EXPECT_EQ(options.chosen().random_epochs(400), 50) << "an eighth, as in the paper";
  options.of<SelfGuidedOptions>().guide_start = "auto";
  EXPECT_EQ(options.chosen().random_epochs(400), 0);
}

TEST(MaskOptions, RefusesWhatNoRunCouldHave) {
  MaskOptions options;
  options.ratio = 1;
  EXPECT_THROW(options.check(true), Error);
  options.ratio = 0.75;
  options.strategy = "self_guided";
  options.of<SelfGuidedOptions>().guide_start = "auto";
  EXPECT_NO_THROW(options.check(/*probed=*/true));
  EXPECT_THROW(options.check(/*probed=*/false), Error);
}

}  // namespace
}  // namespace sgmae
