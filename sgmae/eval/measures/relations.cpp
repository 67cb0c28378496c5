// The cosine of every patch with the image's mean patch, of each block's output (Fig. 2).
#include "sgmae/analysis/relations.h"

#include "sgmae/eval/measure.h"

namespace sgmae::measure {

Measure relations() {
  return {.order = 10,
          .summary = "similarity to the mean patch; picture of M, A and CLS attention",
          .charts = {may_be_negative({"similarity_to_mean",
                                      "Similarity of patches to the mean patch", "Fig. 2",
                                      "Good: clearly below 1. At 1 all patches of an image are "
                                      "alike, and nothing in it can be told apart.",
                                      "cosine"})},
          .taps = {"block_out"},
          .see = [](const BlockView& block) {
            block.add("similarity_to_mean", "",
                      similarity_to_mean(block.patches("block_out")).mean(1));
          }};
}

}  // namespace sgmae::measure
