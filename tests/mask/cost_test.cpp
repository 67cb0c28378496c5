// What strategies say they ask of a run (MaskCost). Oracles: the networks and states that they
// have, the passes that they make, and shares of ViT-B's arithmetic counted by hand
// (docs/results/rivals.md).
#include <gtest/gtest.h>

#include "sgmae/mask/amt.h"
#include "sgmae/mask/attmask.h"
#include "sgmae/mask/registry.h"
#include "sgmae/mask/self_guided.h"
#include "tests/mask/tiny_context.h"

namespace sgmae {
namespace {

MaskOptions chosen(const std::string& strategy) {
  MaskOptions options;
  options.strategy = strategy;
  return options;
}

TEST(MaskCost, CountsTheNetworksOfEveryStrategy) {
  TinyContext tiny;
  for (const MaskStrategyEntry& entry : mask_strategies()) {
    if (entry.name == std::string("file")) continue;  // reads a file, and asks nothing
    SCOPED_TRACE(entry.name);
    const MaskOptions options = chosen(entry.name);
    const MaskContext context = tiny.context();
    const auto strategy = options.chosen().make(context);
    const MaskCost cost =
        options.chosen().cost(tiny.model().config(), TinyContext::visible, context.epochs);
    std::int64_t trained = 0, kept = 0;
    for (const Learner* own : strategy->learners()) trained += value_count(*own->parameters);
    EXPECT_EQ(cost.trained, trained);
    strategy->plan(tiny.batch(0), 0);  // a teacher begins with it
    for (const auto& [name, tensor] : strategy->state().tensors)
      if (tensor.is_floating_point() && tensor.numel() > 1) kept += tensor.numel();
    EXPECT_NEAR(static_cast<double>(cost.trained + cost.held), static_cast<double>(kept),
                0.01 * static_cast<double>(kept));
    EXPECT_EQ(
        cost.informed_epochs > 0 || cost.map_passes > 0,
        options.chosen().random_epochs(400) < 400 &&
            cost.step.encoder + cost.step.flop + cost.map_pass.encoder + cost.map_pass.autoencoder >
                0);
  }
}

// Step of a strategy over that of plain MAE.
double over_plain(const std::string& strategy) {
  EstimateInput in;
  in.model = named_config("vit_base");
  in.masks = chosen(strategy).chosen().cost(in.model, in.n_visible, 400);
  const ArithmeticEstimate a = estimate_arithmetic(in);
  return 1 + a.mask_flop_per_image / a.flop_per_image;
}

TEST(MaskCost, IsTheArithmeticOfViTBase) {
  EXPECT_NEAR(over_plain("attmask"), 1.56, 0.01);
  EXPECT_NEAR(over_plain("automae"), 1.56, 0.01);
  EXPECT_NEAR(over_plain("hpm"), 2.33, 0.02);
  EXPECT_NEAR(over_plain("clmae"), 3.3, 0.05);
  EXPECT_NEAR(over_plain("adios"), 1.02, 0.01);
  EXPECT_EQ(over_plain("random"), 1);
  EXPECT_EQ(over_plain("self_guided"), 1);  // its maps are made between epochs
}

TEST(MaskCost, CountsPassesOverTheImages) {
  const MaeConfig model = named_config("vit_base");
  AmtOptions amt;  // 40, 80 … 360 of the published 400
  EXPECT_EQ(amt.cost(model, 49, 400).map_passes, 9);
  amt.refresh = 0;
  EXPECT_EQ(amt.cost(model, 49, 400).map_passes, 1);
  amt.start = 400;
  EXPECT_EQ(amt.cost(model, 49, 400).map_passes, 0);
  SelfGuidedOptions guided;
  EXPECT_EQ(guided.cost(model, 49, 400).map_passes, 1);
  guided.mask_source = MaskSource::online;
  EXPECT_EQ(guided.cost(model, 49, 400).map_passes, 0);
  EXPECT_EQ(guided.cost(model, 49, 400).informed_epochs, 350);
  AttMaskOptions attention;
  attention.start = 100, attention.teacher = AttMaskTeacher::present;
  EXPECT_EQ(attention.cost(model, 49, 400).informed_epochs, 300);
  EXPECT_EQ(attention.cost(model, 49, 400).held, 0);
}

// The run takes as long as its parts: plain epochs, informed ones, and the passes between them.
TEST(MaskCost, IsTimeOfTheRun) {
  EstimateInput in;
  in.model = named_config("vit_base");
  in.batch_size = 10, in.images = 1000, in.epochs = 20;
  in.speed = MeasuredSpeed{0.1, 0.5};
  const double plain = estimate_time(in, 0).hours;
  EXPECT_NEAR(plain, 20 * 100 * 1.5 / 3600, 1e-9);
  in.masks.informed_epochs = 5, in.masks.step.autoencoder = 3;  // as much as a training pass
  TimeEstimate t = estimate_time(in, 0);
  EXPECT_NEAR(t.step, 2.5, 1e-9);
  EXPECT_NEAR(t.hours - plain, 5 * 100 * 1.0 / 3600, 1e-9);
  EXPECT_NEAR(t.guidance_hours, t.hours - plain, 1e-9);
  in.masks.map_passes = 2, in.masks.map_pass.autoencoder = 3;
  t = estimate_time(in, 0);
  EXPECT_NEAR(t.hours - plain, (5 * 100 * 1.0 + 2 * 1000 * 0.1) / 3600, 1e-9);
}

}  // namespace
}  // namespace sgmae
