// Edges within and between the two sides of an image (Fig. 3a). The sides are the cut at the guide
// layer of the run's last checkpoint, for every layer and epoch (appendix B).
#include "sgmae/analysis/separation.h"

#include <utility>
#include <vector>

#include "sgmae/eval/measure.h"

namespace sgmae::measure {
namespace {

class SeparationGauge : public Gauge {
  std::set<std::string> whole(const Scene& scene) const override {
    return {"attention", features_tap(scene.options)};
  }

  void see(const BlockView& block) override {
    if (block.scene.is_reference && block.part == "encoder" && block.layer == 0)
      side_ = at::Tensor();
    // All 0 for a degenerate image: separation is NaN there.
    if (block.scene.is_reference && block.is_guide_layer()) side_ = block.cut().object_side;
    waiting_.push_back({block.series(""), static_cast<double>(block.layer), block.relation_m(),
                        block.relation_a()});
    if (!side_.defined()) return;
    for (const Relations& relations : waiting_) add(relations, block.scene.table);
    waiting_.clear();
  }

  struct Relations {
    SeriesId id;
    double layer;
    at::Tensor m, a;
  };

  void add(const Relations& of, MetricTable& table) const {
    for (const auto& [metric, relation] :
         {std::pair{"separation_similarity", of.m}, std::pair{"separation_attention", of.a}}) {
      const Separation s = separation(relation, side_);
      SeriesId id = of.id;
      id.metric = metric;
      id.label = "within";
      table.add(id, of.layer, s.intra);
      id.label = "between";
      table.add(id, of.layer, s.inter);
    }
  }

  at::Tensor side_;                 // [B, N] of the images at hand, once the reference has it
  std::vector<Relations> waiting_;  // of the reference's earlier blocks
};

}  // namespace

Measure separation() {
  const auto chart = [](const char* name, const std::string& what, const char* unit) {
    return MetricInfo{
        .name = name,
        .title = what + " within and between the two sides of the last checkpoint's cut",
        .paper = "Fig. 3a",
        .unit = unit,
        .more = {"label"},
        .along_training = true};
  };
  return {.name = "separation",
          .order = 30,
          .summary = "relations within and between the two sides of the last cut",
          .cuts = true,
          .charts = {chart("separation_similarity", "Similarity", "cosine"),
                     chart("separation_attention", "Attention", "attention per patch")},
          .gauge = gauge<SeparationGauge>};
}

}  // namespace sgmae::measure
