// Where every head looks: mutual information of query and key (Fig. 6), distance (Fig. 7a).
#include <utility>

#include "sgmae/analysis/attention_shape.h"
#include "sgmae/eval/measure.h"

namespace sgmae::measure {
namespace {

class Attention : public Gauge {
  std::set<std::string> whole(const Scene&) const override { return {"attention"}; }

  void see(const BlockView& block) override {
    const VitConfig& config = block.scene.subject.encoder->config();
    const WhereHeadsLook shape = attention_shape(block.tap("attention"), block.prefix,
                                                 config.grid_width(), config.patch_size);
    for (const auto& [metric, values] :  // [B, heads]
         {std::pair<std::string, at::Tensor>{"nmi", shape.nmi},
          {"attention_distance", shape.distance}}) {
      block.add(metric, "", values.mean(1));
      SeriesId series = block.series(metric + "_heads");
      for (series.head = 0; series.head < values.size(1); ++series.head)
        block.scene.table.add(series, static_cast<double>(block.layer),
                              values.select(1, series.head));
    }
  }
};

}  // namespace

Measure attention() {
  std::vector<MetricInfo> charts;
  const auto add = [&](const char* name, const char* title, const char* paper, const char* unit) {
    MetricInfo chart{.name = name, .title = title, .paper = paper, .unit = unit};
    charts.push_back(chart);
    chart.name += "_heads";
    chart.title += ", by head";
    chart.more = {"head"};
    charts.push_back(chart);
  };
  add("nmi", "Mutual information of query and key", "Fig. 6", "of 1");
  add("attention_distance", "Attention distance", "Fig. 7a", "pixels");
  return {.name = "attention",
          .order = 60,
          .summary = "mutual information and distance of every head",
          .charts = charts,
          .gauge = gauge<Attention>};
}

}  // namespace sgmae::measure
