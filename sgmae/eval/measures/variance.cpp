// How much the tokens of an image differ, of each block's output (Eq. 3, Table 1).
#include "sgmae/analysis/variance.h"

#include "sgmae/eval/measure.h"

namespace sgmae::measure {
namespace {

class Variance : public Gauge {
  std::set<std::string> whole(const Scene&) const override { return {"block_out"}; }
  void see(const BlockView& block) override {
    const SimilarityVariance of_pairs = similarity_variance(block.similarity("block_out"));
    block.add("feature_variance", "", feature_variance(block.patches("block_out")));
    block.add("similarity_variance", "", of_pairs.raw);
    block.add("similarity_variance_normalised", "", of_pairs.normalised);
  }
};

}  // namespace

Measure variance() {
  return {.name = "variance",
          .order = 20,
          .summary = "feature and similarity variance",
          .charts = {{.name = "feature_variance",
                      .title = "Feature variance",
                      .paper = "Table 1",
                      .along_training = true},
                     {"similarity_variance", "Similarity variance", "Table 1"},
                     {"similarity_variance_normalised", "Similarity variance, M scaled to 0 … 1",
                      "Table 1"}},
          .gauge = gauge<Variance>};
}

}  // namespace sgmae::measure
