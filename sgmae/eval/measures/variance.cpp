// How much the tokens of an image differ, of each block's output (Eq. 3, Table 1).
#include "sgmae/analysis/variance.h"

#include "sgmae/eval/measure.h"

namespace sgmae::measure {
namespace {

void see(const BlockView& block) {
  const SimilarityVariance of_pairs = similarity_variance(block.similarity("block_out"));
  block.add("feature_variance", "", feature_variance(block.patches("block_out")));
  block.add("similarity_variance", "", of_pairs.raw);
  block.add("similarity_variance_normalised", "", of_pairs.normalised);
}

}  // namespace

Measure variance() {
  const std::string pairs =
      "Good: high. Some pairs of patches are then alike and others not, which is what a cut needs.";
  return {.order = 20,
          .summary = "feature and similarity variance",
          .charts = {along_training({"feature_variance", "Feature variance", "Table 1",
                                     "Good: high. At 0 all patches of an image are alike."}),
                     {"similarity_variance", "Similarity variance", "Table 1", pairs},
                     {"similarity_variance_normalised", "Similarity variance, M scaled to 0 … 1",
                      "Table 1", pairs}},
          .taps = {"block_out"},
          .see = see};
}

}  // namespace sgmae::measure
