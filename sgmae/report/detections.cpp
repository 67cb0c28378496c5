#include "sgmae/report/detections.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "sgmae/base/json.h"

namespace sgmae {
namespace {

using nlohmann::ordered_json;
using Runs = std::vector<RunRecord>;

constexpr std::array<std::pair<const char*, const char*>, 2> kKinds{std::pair{"box", "boxes"},
                                                                    std::pair{"mask", "masks"}};
constexpr std::array<std::pair<const char*, const char*>, 3> kOverlaps{
    std::pair{"0.5", "overlap 0.5"}, std::pair{"0.75", "overlap 0.75"},
    std::pair{"0.5:0.95", "0.5 to 0.95"}};

// Recalls are evenly spaced from 0 to 1. A line without points where there is no such curve.
Series curve_of(const RunRecord& run, const char* kind, const char* overlap) {
  Series series;
  for (const RunResult& result : run.results) {
    const ordered_json& values =
        json_member(json_member(json_member(result.content, "precision"), kind), overlap);
    if (!values.is_array() || values.size() < 2) continue;
    series.x.clear();
    series.y.clear();
    for (std::size_t i = 0; i < values.size(); ++i) {
      series.x.push_back(static_cast<double>(i) / static_cast<double>(values.size() - 1));
      series.y.push_back(
          json_value<double>(values[i]).value_or(std::numeric_limits<double>::quiet_NaN()));
    }
  }
  return series;
}

Chart empty_chart(const std::string& title) {
  Chart chart{.title = title,
              .x_label = "recall",
              .y_label = "precision",
              .note = "Mean over the classes."};
  chart.whole_x = false;
  chart.from_zero = true;
  return chart;
}

}  // namespace

std::vector<Chart> precision_charts(const Runs& runs) {
  std::vector<Chart> charts;
  for (const auto& [kind, things] : kKinds) {
    const std::string title = std::string("Precision of ") + things;
    if (runs.size() == 1) charts.push_back(empty_chart(title));
    int colour = 0;
    for (const auto& [overlap, name] : kOverlaps) {
      if (runs.size() > 1) {
        charts.push_back(empty_chart(title + ", " + name));
        charts.back().names_lone_line = true;
        colour = 0;
      }
      for (const RunRecord& run : runs) {
        Series series = curve_of(run, kind, overlap);
        series.name = runs.size() == 1 ? name : run.name;
        series.colour = colour++;
        if (!series.y.empty()) charts.back().series.push_back(std::move(series));
      }
    }
  }
  return charts;
}

}  // namespace sgmae
