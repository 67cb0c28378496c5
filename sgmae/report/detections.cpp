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

std::vector<std::string> class_names(const ordered_json& result) {
  std::vector<std::string> names;
  const ordered_json& classes = json_member(result, "per_class");
  if (classes.is_object())
    for (const auto& [name, entry] : classes.items()) names.push_back(name);
  return names;
}

struct Confused {
  std::size_t truth = 0, found = 0;
  std::int64_t objects = 0;
};

// [truth, found, objects], of classes and, last, none.
std::vector<Confused> confusion_of(const ordered_json& result, std::size_t classes) {
  std::vector<Confused> cells;
  const ordered_json& list = json_member(result, "confusion");
  if (!list.is_array()) return cells;
  for (const ordered_json& entry : list) {
    if (!entry.is_array() || entry.size() != 3) continue;
    std::array<std::int64_t, 3> numbers{};
    for (std::size_t i = 0; i < 3; ++i)
      numbers[i] = json_value<std::int64_t>(entry[i]).value_or(-1);
    const auto is_class = [&](std::int64_t i) {
      return i >= 0 && static_cast<std::uint64_t>(i) <= classes;
    };
    if (is_class(numbers[0]) && is_class(numbers[1]) && numbers[2] > 0)
      cells.push_back(
          {static_cast<std::size_t>(numbers[0]), static_cast<std::size_t>(numbers[1]), numbers[2]});
  }
  return cells;
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

Table confusion_table(const ordered_json& result, std::size_t most_classes) {
  constexpr std::size_t most_mistakes = 40;
  std::vector<std::string> names = class_names(result);
  const std::size_t none = names.size();
  std::vector<Confused> cells = confusion_of(result, none);
  Table table{.head = {}, .rows = {}, .numbers = true};
  if (none == 0 || cells.empty()) return table;
  if (none <= most_classes) {
    table.head = {"is"};
    for (const std::string& name : names) table.head.push_back("found: " + name);
    table.head.push_back("missed");
    names.push_back("background");
    for (const std::string& name : names) {
      table.rows.emplace_back(none + 2);
      table.rows.back()[0] = name;
    }
    for (const Confused& cell : cells)
      table.rows[cell.truth][cell.found + 1] = std::to_string(cell.objects);
    return table;
  }
  std::erase_if(cells, [](const Confused& cell) { return cell.truth == cell.found; });
  std::stable_sort(cells.begin(), cells.end(),
                   [](const Confused& a, const Confused& b) { return a.objects > b.objects; });
  cells.resize(std::min(cells.size(), most_mistakes));
  table.head = {"is", "found", "objects"};
  for (const Confused& cell : cells)
    table.rows.push_back({cell.truth == none ? "background" : names[cell.truth],
                          cell.found == none ? "missed" : names[cell.found],
                          std::to_string(cell.objects)});
  return table;
}

}  // namespace sgmae
