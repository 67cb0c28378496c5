// The masking strategies there are, and the options of all of them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sgmae/mask/strategy.h"

namespace sgmae {

struct MaskStrategyEntry {
  const char* name;                                   // of --mask_strategy
  const char* summary;                                // a clause for the help
  std::unique_ptr<MaskStrategyOptions> (*options)();  // at their defaults
};

// In the order of the help text. What is added is known to every MaskOptions made afterwards.
const std::vector<MaskStrategyEntry>& mask_strategies();
void add_mask_strategy(const MaskStrategyEntry& entry);

// Section [mask]: which strategy, and the options of each.
class MaskOptions {
 public:
  double ratio = 0.75;  // share of patches that the encoder does not see
  std::string strategy = "random";

  MaskOptions();
  MaskOptions(const MaskOptions& other);
  MaskOptions& operator=(const MaskOptions& other);

  void declare(Options& options);
  // Throws Error(usage) for values that no run could have, and for options of a strategy that is
  // not chosen. `probed`: the exploitation rate is measured.
  void check(bool probed) const;

  const MaskStrategyOptions& chosen() const;
  double thrown_ratio() const { return chosen().thrown_ratio(); }
  // Those of one strategy, by their type.
  template <class O>
  O& of() {
    for (const auto& own : own_)
      if (auto* found = dynamic_cast<O*>(own.get())) return *found;
    SGMAE_ASSERT(!"a strategy that is not registered");
    return dynamic_cast<O&>(*own_.front());
  }
  template <class O>
  const O& of() const {
    return const_cast<MaskOptions*>(this)->of<O>();
  }

  // By name, as JSON: ratio, strategy, its options, and self_guided's, by which any model's patches
  // are ranked (trained_guide.h).
  nlohmann::json described() const;

 private:
  void check_unchosen() const;

  std::vector<std::unique_ptr<MaskStrategyOptions>> own_;  // by mask_strategies()
};

}  // namespace sgmae
