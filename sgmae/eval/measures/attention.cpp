// Where every head looks: mutual information of query and key (Fig. 6), distance (Fig. 7a).
#include "sgmae/analysis/attention_shape.h"
#include "sgmae/eval/measure.h"

namespace sgmae::measure {
namespace {

void see(const BlockView& block) {
  const VitConfig& config = block.scene.subject.encoder->config();
  const WhereHeadsLook shape = attention_shape(block.taps.at("attention"), block.prefix,
                                               config.grid_width(), config.patch_size);
  const auto add = [&](const std::string& metric, const at::Tensor& values) {  // [B, heads]
    block.add(metric, "", values.mean(1));
    SeriesId series = block.series(metric + "_heads");
    for (series.head = 0; series.head < values.size(1); ++series.head)
      block.scene.table.add(series, static_cast<double>(block.layer),
                            values.select(1, series.head));
  };
  add("nmi", shape.nmi);
  add("attention_distance", shape.distance);
}

}  // namespace

Measure attention() {
  const std::string information =
      "Good: clearly above 0 in deep blocks. At 0 all patches look at the same places, whatever "
      "they show; at 1 each looks at its own.";
  const std::string distance =
      "Good: blocks differ, some looking near and some far. All equally far is how an untrained "
      "model looks.";
  return {.order = 60,
          .summary = "mutual information and distance of every head",
          .charts = {{"nmi", "Mutual information of query and key", "Fig. 6", information, "of 1"},
                     {"nmi_heads",
                      "Mutual information of query and key, by head",
                      "Fig. 6",
                      information,
                      "of 1",
                      {"head"}},
                     {"attention_distance", "Attention distance", "Fig. 7a", distance, "pixels"},
                     {"attention_distance_heads",
                      "Attention distance, by head",
                      "Fig. 7a",
                      distance,
                      "pixels",
                      {"head"}}},
          .taps = {"attention"},
          .see = see};
}

}  // namespace sgmae::measure
