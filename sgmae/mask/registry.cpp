#include "sgmae/mask/registry.h"

#include <algorithm>

#include "sgmae/base/error.h"
#include "sgmae/mask/adios.h"
#include "sgmae/mask/amt.h"
#include "sgmae/mask/attmask.h"
#include "sgmae/mask/automae.h"
#include "sgmae/mask/block_wise.h"
#include "sgmae/mask/clmae.h"
#include "sgmae/mask/grid_masks.h"
#include "sgmae/mask/hpm.h"
#include "sgmae/mask/mask_file.h"
#include "sgmae/mask/self_guided.h"
#include "sgmae/mask/semmae.h"

namespace sgmae {
namespace {

struct RandomMaskOptions : MaskStrategyOptions {
  std::unique_ptr<MaskStrategyOptions> clone() const override {
    return std::make_unique<RandomMaskOptions>(*this);
  }
  std::int64_t random_epochs(std::int64_t epochs) const override { return epochs; }
  std::unique_ptr<MaskStrategy> make(const MaskContext& context) const override {
    return std::make_unique<RandomMask>(context.model.config().n_patches(), context.mask_ratio,
                                        context.seed);
  }
};

template <class O>
std::unique_ptr<MaskStrategyOptions> make_options() {
  return std::make_unique<O>();
}

std::vector<MaskStrategyEntry>& entries() {
  static std::vector<MaskStrategyEntry> all{
      {"random", "plain MAE", make_options<RandomMaskOptions>},
      {"block_wise", "rectangles, as of BEiT", make_options<BlockWiseOptions>},
      {"grid", "one of four patches stays, always the same", make_options<GridMaskOptions>},
      {"checkerboard", "squares of one colour stay first", make_options<CheckerboardOptions>},
      {"file", "what a file says of every image", make_options<MaskFileOptions>},
      {"self_guided", "masks from the model's own patch clusters", make_options<SelfGuidedOptions>},
      {"attmask", "patches that a teacher's class token attends to", make_options<AttMaskOptions>},
      {"semmae", "from a share of every part of the image to whole parts",
       make_options<SemMaeOptions>},
      {"amt", "patches that the class token attends to, and thrown ones", make_options<AmtOptions>},
      {"hpm", "patches that a learned predictor expects to be hard", make_options<HpmOptions>},
      {"adios", "what an occluder learns to hide from the model", make_options<AdiosOptions>},
      {"automae", "patches that a generator draws from attention, taught by a discriminator",
       make_options<AutoMaeOptions>},
      {"clmae", "what a module scores low, which helps the model first and hinders it later",
       make_options<ClMaeOptions>},
  };
  return all;
}

}  // namespace

const std::vector<MaskStrategyEntry>& mask_strategies() {
  return entries();
}

void add_mask_strategy(const MaskStrategyEntry& entry) {
  entries().push_back(entry);
}

MaskOptions::MaskOptions() {
  for (const MaskStrategyEntry& entry : mask_strategies()) own_.push_back(entry.options());
}

MaskOptions::MaskOptions(const MaskOptions& other) : ratio(other.ratio), strategy(other.strategy) {
  for (const auto& own : other.own_) own_.push_back(own->clone());
}

MaskOptions& MaskOptions::operator=(const MaskOptions& other) {
  MaskOptions copy(other);
  ratio = copy.ratio;
  strategy = copy.strategy;
  own_ = std::move(copy.own_);
  return *this;
}

void MaskOptions::declare(Options& o) {
  std::vector<std::string> names;
  std::string help;
  for (const MaskStrategyEntry& entry : mask_strategies()) {
    names.push_back(entry.name);
    help += str(help.empty() ? "" : "; ", entry.name, ": ", entry.summary);
  }
  o.section("mask");
  o.add("mask_ratio", ratio, "fraction of patches to mask");
  o.add("mask_strategy", strategy, names, help);
  for (const auto& own : own_) own->declare(o);
}

void MaskOptions::check(bool probed) const {
  sgmae::check(ratio > 0 && ratio < 1, ExitCode::usage,
               "mask_ratio must be between 0 and 1, but is ", ratio);
  chosen().check(probed);
  sgmae::check(ratio + thrown_ratio() < 1, ExitCode::usage, "masked and thrown patches together (",
               ratio, " and ", thrown_ratio(),
               " of all) leave none visible; lower mask_ratio or what is thrown");
  check_unchosen();
}

// An option of another strategy would do nothing. Those of self_guided stand in recipes, where
// another strategy may be named in their place.
void MaskOptions::check_unchosen() const {
  const auto& all = mask_strategies();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].name == strategy || all[i].name == std::string("self_guided")) continue;
    const auto here = own_.at(i)->clone(), fresh = all[i].options();
    Options given, defaults;
    here->declare(given);
    fresh->declare(defaults);
    for (std::size_t k = 0; k < given.all().size(); ++k)
      sgmae::check(given.all()[k].print() == defaults.all()[k].print(), ExitCode::usage,
                   given.all()[k].name, " is an option of --mask_strategy ", all[i].name,
                   ", but mask_strategy is ", strategy, "; leave it out or choose ", all[i].name);
  }
}

const MaskStrategyOptions& MaskOptions::chosen() const {
  const auto& all = mask_strategies();
  const auto found = std::find_if(all.begin(), all.end(), [&](const MaskStrategyEntry& entry) {
    return strategy == entry.name;
  });
  sgmae::check(found != all.end(), ExitCode::usage, "unknown mask_strategy '", strategy, "'");
  return *own_.at(static_cast<std::size_t>(found - all.begin()));
}

nlohmann::json MaskOptions::described() const {
  nlohmann::json described{{"mask_ratio", ratio}, {"mask_strategy", strategy}};
  const auto& all = mask_strategies();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].name != strategy && all[i].name != std::string("self_guided")) continue;
    const auto own = own_.at(i)->clone();
    Options declared;
    own->declare(declared);
    for (const OptionInfo& option : declared.all())
      described[option.name] = nlohmann::json::parse(option.print());
  }
  return described;
}

}  // namespace sgmae
