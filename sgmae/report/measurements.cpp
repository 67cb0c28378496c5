#include "sgmae/report/measurements.h"

#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "sgmae/base/file.h"

namespace sgmae {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

std::string text_of(const ordered_json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::vector<double> numbers(const ordered_json& object, const std::string& key) {
  std::vector<double> values;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array()) return values;
  for (const ordered_json& value : *found)
    values.push_back(value.is_number() ? value.get<double>()
                                       : std::numeric_limits<double>::quiet_NaN());
  return values;
}

ordered_json member(const ordered_json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? ordered_json() : *found;
}

// The name of each model; with the epoch where one name stands for several.
std::vector<std::string> model_names(const ordered_json& models) {
  std::map<std::string, int> count;
  for (const ordered_json& model : models) ++count[text_of(model, "name")];
  std::vector<std::string> names;
  for (const ordered_json& model : models) {
    std::string name = text_of(model, "name");
    const ordered_json epoch = member(model, "epoch");
    if (count[name] > 1 && epoch.is_number()) name += str(" epoch ", epoch.get<double>());
    names.push_back(name.empty() ? str("model ", names.size()) : name);
  }
  return names;
}

// What tells this series from others of the same model and part: its remaining texts.
std::string variant(const ordered_json& series) {
  std::string out;
  for (const auto& [key, value] : series.items())
    if (value.is_string() && key != "part" && key != "x") out += ", " + value.get<std::string>();
  return out;
}

struct MetricReader {
  Measurements& into;
  const std::string name;
  const ordered_json& metric;

  void read() {
    const ordered_json all = member(metric, "series");
    if (!all.is_array()) return leave_out("it has no series");
    std::map<std::string, Chart> charts;  // by part and x axis
    std::map<std::string, std::set<int>> models_in;
    for (const ordered_json& series : all) {
      const std::string axis = text_of(series, "x").empty() ? "layer" : text_of(series, "x");
      std::vector<double> x = numbers(series, "at");
      if (x.empty()) x = numbers(series, axis);
      std::vector<double> y = numbers(series, "values");
      const ordered_json model = member(series, "model");
      const bool known = model.is_number_integer() && model.get<std::int64_t>() >= 0 &&
                         model.get<std::size_t>() < into.models.size();
      if (x.empty() || x.size() != y.size() || !known) {
        leave_out("a series needs a model, and values as many as points");
        continue;
      }
      const std::string part = text_of(series, "part"), group = part + "/" + axis;
      Chart& chart = charts[group];
      if (chart.title.empty()) chart = empty_chart(part, axis);
      const int index = model.get<int>();
      Series line{.name = into.models[static_cast<std::size_t>(index)] + variant(series),
                  .x = std::move(x),
                  .y = std::move(y),
                  .spread = numbers(series, "spread"),
                  .colour = index};
      line.dashed = !models_in[group].insert(index).second;  // a second line of the same model
      chart.series.push_back(std::move(line));
    }
    for (auto& [group, chart] : charts)
      if (has_points(chart)) into.charts.push_back(std::move(chart));
  }

  Chart empty_chart(const std::string& part, const std::string& axis) const {
    Chart chart;
    chart.title = text_of(metric, "title").empty() ? name : text_of(metric, "title");
    if (!part.empty()) chart.title += ", " + part;
    if (const std::string paper = text_of(metric, "paper"); !paper.empty())
      chart.note = "as in the paper's " + paper;
    chart.x_label = axis;
    chart.y_label = text_of(metric, "unit");
    chart.names_lone_line = true;
    chart.whole_x = axis == "layer" || axis == "epoch";
    return chart;
  }

  void leave_out(const std::string& why) {
    const std::string note = name + ": partly left out: " + why;
    if (into.notes.empty() || into.notes.back() != note) into.notes.push_back(note);
  }
};

// A picture's name must stay inside the folder of the measurements.
bool stays_inside(const fs::path& file) {
  return !file.empty() && file.is_relative() &&
         std::none_of(file.begin(), file.end(), [](const fs::path& part) { return part == ".."; });
}

void read_figures(const ordered_json& figures, const fs::path& folder, Measurements& into) {
  if (!figures.is_array()) return;
  for (const ordered_json& figure : figures) {
    const fs::path file = text_of(figure, "file");
    if (!stays_inside(file)) {
      into.notes.push_back(
          "a figure is left out: its file must be named from the folder of "
          "metrics.json, not '" +
          file.string() + "'");
      continue;
    }
    into.figures.push_back({folder / file, text_of(figure, "title"), text_of(figure, "paper"),
                            text_of(figure, "caption")});
  }
}

}  // namespace

Measurements read_measurements(const fs::path& file) {
  Measurements into;
  ordered_json content;
  try {
    content = ordered_json::parse(read_text(file, ExitCode::data), nullptr, false);
  } catch (const Error& error) {
    into.notes.emplace_back(error.what());
    return into;
  }
  if (!content.is_object() || member(content, "schema") != 1) {
    into.notes.push_back(file.filename().string() +
                         " is left out: it is not a JSON object of schema 1");
    return into;
  }
  const ordered_json data = member(content, "data");
  into.data = data.is_string()   ? data.get<std::string>()
              : data.is_object() ? text_of(data, "path")
                                 : "";
  if (const ordered_json images = member(content, "images"); images.is_number_integer())
    into.images = images.get<std::int64_t>();
  if (const ordered_json models = member(content, "models"); models.is_array())
    into.models = model_names(models);
  const ordered_json metrics = member(content, "metrics");
  if (metrics.is_object())
    for (const auto& [name, metric] : metrics.items()) MetricReader{into, name, metric}.read();
  read_figures(member(content, "figures"), file.parent_path(), into);
  return into;
}

}  // namespace sgmae
