// Which spatial frequencies tokens carry (Fig. 7b): at depth 0 the embedded patches, at 1/2 after
// the attention of block 0, at 1 after block 0, and so on.
#include "sgmae/analysis/fourier.h"

#include "sgmae/eval/measure.h"

namespace sgmae::measure {
namespace {

void see(const BlockView& block) {
  const VitConfig& config = block.scene.subject.encoder->config();
  const std::int64_t rows = config.grid_height(), columns = config.grid_width();
  MetricTable& table = block.scene.table;
  const auto depth = static_cast<double>(block.layer);
  const auto add_depth = [&](double at, const char* label, const char* tap) {
    const at::Tensor spectrum = relative_log_amplitude(block.patches(tap), rows, columns);
    table.add(block.series("fourier_depth", label), at, spectrum.select(1, spectrum.size(1) - 1));
    return spectrum;
  };
  if (block.name() == "encoder.0") add_depth(0, "after blocks", "embed");
  add_depth(depth + 0.5, "after attention", "attention_add");
  const at::Tensor spectrum = add_depth(depth + 1, "after blocks", "block_out");
  const std::vector<double> frequency = diagonal_frequencies(rows, columns);
  SeriesId series = block.series("fourier_spectrum");
  series.block = block.layer;
  for (std::size_t f = 0; f < frequency.size(); ++f)
    table.add(series, frequency[f], spectrum.select(1, static_cast<std::int64_t>(f)));
}

}  // namespace

Measure fourier() {
  const std::string good =
      "Neither high nor low is good by itself: near 0 tokens follow fine texture, far below it "
      "whole objects.";
  return {.order = 70,
          .summary = "spatial frequencies of tokens",
          .charts = {may_be_negative({"fourier_depth",
                                      "Relative log amplitude of the highest frequency",
                                      "Fig. 7b",
                                      good,
                                      "log amplitude",
                                      {"label"},
                                      "depth"}),
                     may_be_negative({"fourier_spectrum",
                                      "Relative log amplitude",
                                      "Fig. 7b",
                                      good,
                                      "log amplitude",
                                      {"block"},
                                      "frequency"})},
          .taps = {"block_out", "attention_add", "embed"},
          .see = see};
}

}  // namespace sgmae::measure
