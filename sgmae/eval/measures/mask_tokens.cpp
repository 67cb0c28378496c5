// How far the mask tokens of an image differ along the decoder (Fig. 7c).
#include "sgmae/analysis/variance.h"
#include "sgmae/eval/measure.h"

namespace sgmae::measure {
namespace {

void see(const BlockView& block) {
  const MaskTokenVariance v = mask_token_variance(block.patches("block_out"), block.mask);
  block.add("mask_token_variance", "", v.direction);
  block.add("mask_token_variance_raw", "", v.raw);
}

}  // namespace

Measure mask_tokens() {
  const std::string good =
      "Good: high already after the first blocks. Mask tokens then hold what differs from place to "
      "place.";
  return {.order = 80,
          .summary = "how far mask tokens differ along the decoder",
          .needs_decoder = true,
          .charts = {{"mask_token_variance", "Feature variance of mask tokens", "Fig. 7c", good},
                     {"mask_token_variance_raw", "Mean variance of mask tokens per dimension",
                      "Fig. 7c", good}},
          .taps = {"block_out"},
          .see_masked = see};
}

}  // namespace sgmae::measure
