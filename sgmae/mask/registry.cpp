#include "sgmae/mask/registry.h"

#include <algorithm>

#include "sgmae/base/error.h"
#include "sgmae/mask/self_guided.h"

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
      {"self_guided", "masks from the model's own patch clusters", make_options<SelfGuidedOptions>},
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
  MaskOptions copy = *this;
  Options declared;
  copy.declare(declared);
  nlohmann::json described;
  for (const OptionInfo& option : declared.all())
    described[option.name] = nlohmann::json::parse(option.print());
  return described;
}

}  // namespace sgmae
