// From the relevance of an image's patches to the order in which they are masked (paper, section 4;
// hints after SemMAE). Plain functions of plain values; no torch here.
#pragma once

#include <cstdint>
#include <span>

#include "sgmae/base/rng.h"
#include "sgmae/mask/options.h"

namespace sgmae {

// Hint tokens in `epoch` (from 0) of a run of `epochs` whose guidance starts in epoch `start`:
// ratio * n_patches, rounded, times the decay law of (epoch - start) / (epochs - start), at least
// `floor`. Zero for HintStrategy::none and for ratio 0.
std::int64_t hint_count(const HintOptions& options, std::int64_t n_patches, std::int64_t epoch,
                        std::int64_t start, std::int64_t epochs);

// Throws Error(usage) unless something stays visible and something is masked.
void check_visible(std::int64_t n_visible, std::int64_t n_patches);

// Throws Error(usage) when the options cannot make masks of n_visible among n_patches: nothing
// masked, nothing visible, or more hints than visible patches.
void check_hints(const HintOptions& options, std::int64_t n_patches, std::int64_t n_visible);

// The side hidden in `epoch`: object or background.
GuideTarget target_in_epoch(GuideTarget target, std::int64_t epoch, std::int64_t start);

// Writes order [N] by ascending score [N], finite; equal scores in random order, so that no
// position is favoured.
void ranked_order(std::span<const float> score, Rng& rng, std::span<std::int64_t> order);

// Writes order [N], visible first: the n_visible - n_hints patches of lowest score, then n_hints
// drawn without replacement from the others (uniformly, or with weight max(score, 0) + 1e-6), then
// what is masked. The score is the relevance for target object, its negative for background; equal
// ones as in ranked_order.
void informed_order(std::span<const float> relevance, std::int64_t n_visible, std::int64_t n_hints,
                    HintStrategy strategy, GuideTarget target, Rng rng,
                    std::span<std::int64_t> order);

}  // namespace sgmae
