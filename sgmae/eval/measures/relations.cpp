// The cosine of every patch with the image's mean patch, of each block's output (Fig. 2).
#include "sgmae/analysis/relations.h"

#include "sgmae/eval/measure.h"

namespace sgmae::measure {
namespace {

class Relations : public Gauge {
  std::set<std::string> whole(const Scene&) const override { return {"block_out"}; }
  void see(const BlockView& block) override {
    block.add("similarity_to_mean", "", similarity_to_mean(block.patches("block_out")).mean(1));
  }
};

}  // namespace

Measure relations() {
  return {.name = "relations",
          .order = 10,
          .summary = "similarity to the mean patch; picture of M, A and CLS attention",
          .charts = {{"similarity_to_mean", "Similarity of patches to the mean patch", "Fig. 2",
                      "cosine"}},
          .gauge = gauge<Relations>};
}

}  // namespace sgmae::measure
