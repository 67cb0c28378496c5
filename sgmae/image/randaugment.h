// RandAugment (Cubuk et al. 2020) in the variant that fine-tuning uses, timm's
// rand-m9-mstd0.5-inc1: every operation grows with the magnitude.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sgmae/base/rng.h"
#include "sgmae/image/image.h"

namespace sgmae {

enum class AugmentOp {
  auto_contrast,
  equalize,
  invert,
  rotate,
  posterize,
  solarize,
  solarize_add,
  colour,
  contrast,
  brightness,
  sharpness,
  shear_x,
  shear_y,
  translate_x,
  translate_y
};
inline constexpr int augment_op_count = 15;

struct RandAugmentOptions {
  int count = 0;             // operations drawn per image, with replacement; 0: none
  double magnitude = 9;      // of 10
  double deviation = 0.5;    // of the magnitude, which is normal, cut off to 0 … 10
  double probability = 0.5;  // with which a drawn operation is applied
};

// "rand-m9-mstd0.5-inc1" (also with n for the number of operations, 2 by default), or "" or "none".
// Throws Error(usage) for any other policy.
RandAugmentOptions parse_rand_augment(const std::string& text);

// One operation and its argument: degrees, bits, threshold, addend, factor, shear, or shift as a
// share of the side; 0 where there is none.
struct AugmentStep {
  AugmentOp op = AugmentOp::invert;
  double argument = 0;
};

// The argument at a magnitude of 0 … 10; `negate` turns those around that go both ways.
double augment_argument(AugmentOp op, double magnitude, bool negate);

// What to do to one image, in order.
std::vector<AugmentStep> draw_rand_augment(Rng& rng, const RandAugmentOptions& options);

// `fill` [channels] is the colour of what turns, shears and shifts leave open.
void apply(const AugmentStep& step, const std::vector<std::uint8_t>& fill, Image& image);

}  // namespace sgmae
