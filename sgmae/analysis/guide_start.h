// When mask tokens have become informative through training: the automatic start of guidance.
//
// The paper starts guidance in the first epoch in which the decoder uses mask tokens as much as
// visible ones, R_{M->O} >= R_{V->O}. Read literally that holds before training: attention that is
// still uniform gives mask tokens a share equal to the mask ratio. Training first teaches the
// decoder that they are empty, and the share falls; once they carry what the decoder has worked out
// about their patches, it rises again. In a short run it may not come back to one half. So the
// start is where the share has left its lowest value for good:
//   1. it has fallen by `fall` below the mask ratio, the share under uniform attention, and
//   2. it stands above its lowest value by `rise` and by five times the curve's latest noise.
// Both look at medians of `window` epochs, so that single epochs decide nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace sgmae {

struct GuideStartOptions {
  double fall = 0.15;  // of the mask tokens' share, from the mask ratio to its lowest value
  double rise = 0.02;  // above the lowest value
  int window = 5;      // epochs
};

struct GuideStartVerdict {
  std::optional<std::int64_t> epoch;  // first epoch (from 0) of guided masks; none: not yet
  std::string reason;                 // one line for people, either way
};

// `masked_share[e]`: mask tokens' share R_{M->O} (rollout reading, last decoder layer), measured on
// a fixed probe set under masks of `mask_ratio` after epoch e (from 0), NaN where attention went to
// the class token alone. The verdict looks at each
// epoch with what was known then, so that measuring on never changes it.
GuideStartVerdict guide_start_verdict(std::span<const double> masked_share, double mask_ratio,
                                      const GuideStartOptions& options = {});

}  // namespace sgmae
