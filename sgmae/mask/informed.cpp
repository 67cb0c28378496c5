#include "sgmae/mask/informed.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "sgmae/base/error.h"

namespace sgmae {
namespace {

// Share of the first hint ratio that is left when `progress` (0 .. 1) of the guided epochs are
// over.
double decay(HintDecay law, double progress) {
  switch (law) {
    case HintDecay::none:
      return 1;
    case HintDecay::linear:
      return 1 - progress;
    case HintDecay::cosine:
      return 0.5 * (1 + std::cos(std::numbers::pi * progress));
    case HintDecay::quadratic:
      return 1 - progress * progress;  // the law live in SemMAE
  }
  return 1;
}

}  // namespace

std::int64_t hint_count(const HintOptions& options, std::int64_t n_patches, std::int64_t epoch,
                        std::int64_t start, std::int64_t epochs) {
  if (options.strategy == HintStrategy::none || options.ratio == 0) return 0;
  const double progress =
      epochs > start ? std::clamp(static_cast<double>(epoch - start) / (epochs - start), 0.0, 1.0)
                     : 0.0;
  const double ratio = options.ratio * decay(options.decay, progress);
  return std::max<std::int64_t>(std::llround(ratio * static_cast<double>(n_patches)),
                                options.floor);
}

void check_visible(std::int64_t n_visible, std::int64_t n_patches) {
  check(n_visible > 0 && n_visible < n_patches, ExitCode::usage, "masks would leave ", n_visible,
        " of ", n_patches,
        " patches visible; choose a mask_ratio that leaves at least one patch "
        "visible and one masked");
}

void check_hints(const HintOptions& options, std::int64_t n_patches, std::int64_t n_visible) {
  check_visible(n_visible, n_patches);
  const std::int64_t hints = hint_count(options, n_patches, 0, 0, 1);
  // Hints stand among the visible patches; more of them than those would leave nothing masked that
  // guidance asked for.
  check(options.ratio >= 0 && hints <= n_visible, ExitCode::usage, "hint_ratio ", options.ratio,
        " (floor ", options.floor, ") makes ", hints, " hints of ", n_patches,
        " patches, but only ", n_visible, " stay visible; choose a hint_ratio from 0 to ",
        fixed(static_cast<double>(n_visible) / static_cast<double>(n_patches), 2),
        " or a lower mask_ratio");
}

GuideTarget target_in_epoch(GuideTarget target, std::int64_t epoch, std::int64_t start) {
  if (target != GuideTarget::alternate) return target;
  return (epoch - start) % 2 == 0 ? GuideTarget::object : GuideTarget::background;
}

void ranked_order(std::span<const float> score, Rng& rng, std::span<std::int64_t> order) {
  const auto n = static_cast<std::int64_t>(score.size());
  SGMAE_ASSERT(static_cast<std::int64_t>(order.size()) == n);
  const std::vector<std::int64_t> shuffled = rng.permutation(n);
  std::copy(shuffled.begin(), shuffled.end(), order.begin());
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return score[a] < score[b]; });
}

void informed_order(std::span<const float> relevance, std::int64_t n_visible, std::int64_t n_hints,
                    HintStrategy strategy, GuideTarget target, Rng rng,
                    std::span<std::int64_t> order) {
  const auto n = static_cast<std::int64_t>(relevance.size());
  SGMAE_ASSERT(target != GuideTarget::alternate);
  SGMAE_ASSERT(0 <= n_hints && n_hints <= n_visible && n_visible <= n);
  std::vector<float> score(relevance.begin(), relevance.end());
  for (float& value : score) {
    SGMAE_ASSERT(std::isfinite(value));
    if (target == GuideTarget::background) value = -value;
  }
  ranked_order(score, rng, order);

  const std::int64_t first = n_visible - n_hints;  // hints come from order[first ..]
  if (strategy == HintStrategy::similarity) {
    // Sorting by log(u) / weight draws without replacement in proportion to the weights (Efraimidis
    // & Spirakis 2006).
    std::vector<double> key(n);
    for (std::int64_t i = first; i < n; ++i) {
      const double weight = std::max(static_cast<double>(relevance[order[i]]), 0.0) + 1e-6;
      key[order[i]] = std::log(1.0 - rng.uniform()) / weight;
    }
    std::partial_sort(order.begin() + first, order.begin() + n_visible, order.end(),
                      [&](std::int64_t a, std::int64_t b) { return key[a] > key[b]; });
  } else {
    for (std::int64_t i = first; i < n_visible; ++i)
      std::swap(order[i], order[i + rng.below(n - i)]);
  }
}

}  // namespace sgmae
