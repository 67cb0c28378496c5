// Edges within and between the two sides of an image (Fig. 3a). The sides are the cut at the guide
// layer of the run's last checkpoint, for every layer and epoch (appendix B).
#include "sgmae/analysis/separation.h"

#include "sgmae/eval/measure.h"

namespace sgmae::measure {
namespace {

struct Sides {
  struct Relation {
    SeriesId id;
    std::int64_t layer;
    at::Tensor weights;  // [B, N, N]
  };
  at::Tensor side;                // [B, N] of the images at hand, once the reference has it
  std::vector<Relation> waiting;  // of the reference's earlier blocks

  void operator()(const BlockView& block) {
    if (block.scene.is_reference && block.name() == "encoder.0") side = at::Tensor();
    // All 0 for a degenerate image: separation is NaN there.
    if (block.scene.is_reference && block.is_guide_layer()) side = block.cut().object_side;
    waiting.push_back({block.series("separation_similarity"), block.layer, block.relation_m()});
    waiting.push_back({block.series("separation_attention"), block.layer, block.relation_a()});
    if (!side.defined()) return;
    for (auto& [id, layer, weights] : waiting) {
      const Separation s = separation(weights, side);
      for (const auto& [label, values] : {std::pair{"within", s.intra}, {"between", s.inter}}) {
        id.label = label;
        block.scene.table.add(id, static_cast<double>(layer), values);
      }
    }
    waiting.clear();
  }
};

}  // namespace

Measure separation() {
  const std::string good = "Good: 'within' far above 'between', and so from the first epochs on.";
  const std::string sides = " within and between the two sides of the last checkpoint's cut";
  return {.order = 30,
          .summary = "relations within and between the two sides of the last cut",
          .cuts = true,
          .charts = {along_training(may_be_negative({"separation_similarity",
                                                     "Similarity" + sides,
                                                     "Fig. 3a",
                                                     good,
                                                     "cosine",
                                                     {"label"}})),
                     along_training({"separation_attention",
                                     "Attention" + sides,
                                     "Fig. 3a",
                                     good,
                                     "attention per patch",
                                     {"label"}})},
          .taps = {"attention", "features"},
          .see = Sides()};
}

}  // namespace sgmae::measure
