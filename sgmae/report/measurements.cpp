#include "sgmae/report/measurements.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>
#include <tuple>

#include "sgmae/base/file.h"
#include "sgmae/base/json.h"
#include "sgmae/report/json_text.h"

namespace sgmae {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

std::string text_of(const ordered_json& object, const char* key) {
  return json_value<std::string>(object, key).value_or("");
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

// 0, 1, 2 …: layers that are not said are all of them.
std::vector<double> counted(std::size_t count) {
  std::vector<double> values(count);
  std::iota(values.begin(), values.end(), 0.0);
  return values;
}

// The name of each model; with the epoch where one name stands for several.
std::vector<std::string> model_names(const ordered_json& models) {
  std::map<std::string, int> count;
  for (const ordered_json& model : models) ++count[text_of(model, "name")];
  std::vector<std::string> names;
  for (const ordered_json& model : models) {
    std::string name = text_of(model, "name");
    const ordered_json& epoch = json_member(model, "epoch");
    if (count[name] > 1 && epoch.is_number()) name += str(" epoch ", epoch.get<double>());
    names.push_back(name.empty() ? str("model ", names.size()) : name);
  }
  return names;
}

// One line of a metric and what tells it from the others of its chart.
struct Line {
  Series series;
  int model = 0;
  std::string label;  // e.g. "within"
  std::string index;  // e.g. "head 2": a whole number under a name of its own
};

Line line_of(const ordered_json& json, const std::vector<double>& x) {
  Line line;
  line.series.x = x;
  line.series.y = numbers(json, "values");
  line.series.spread = numbers(json, "spread");
  line.series.interval = numbers(json, "standard_error");
  for (double& value : line.series.interval) value *= 1.96;
  line.model = json_member(json, "model").get<int>();
  for (const auto& [key, value] : json.items()) {
    if (key == "model" || key == "part" || key == "x") continue;
    if (value.is_string())
      line.label += (line.label.empty() ? "" : ", ") + value.get<std::string>();
    if (const auto index = json_value<std::int64_t>(value)) line.index = str(key, " ", *index);
  }
  return line;
}

// The different values of a property, in order of appearance.
template <class Value, class Of>
std::vector<Value> values_of(const std::vector<Line>& lines, Of of) {
  std::vector<Value> values;
  for (const Line& line : lines)
    if (std::find(values.begin(), values.end(), of(line)) == values.end())
      values.push_back(of(line));
  return values;
}

// At most `most`, evenly spaced, the first and the last among them.
template <class Value>
std::vector<Value> some_of(const std::vector<Value>& all, std::size_t most) {
  if (all.size() <= most) return all;
  std::vector<Value> some;
  for (std::size_t i = 0; i < most; ++i) some.push_back(all[i * (all.size() - 1) / (most - 1)]);
  return some;
}

template <class Value>
std::size_t place_in(const std::vector<Value>& values, const Value& value) {
  return static_cast<std::size_t>(std::find(values.begin(), values.end(), value) - values.begin());
}

int model_of(const Line& line) {
  return line.model;
}
std::string label_of(const Line& line) {
  return line.label;
}
std::string index_of(const Line& line) {
  return line.index;
}

// Colours tell heads or blocks apart where there are several, otherwise models, otherwise labels;
// labels that have no colour are told apart by dashes. Of many lines some are drawn; the table has
// all of them.
void fill(Chart& chart, const std::vector<Line>& lines, const std::vector<std::string>& models) {
  constexpr std::size_t kDrawn = 6;
  const auto in_use = values_of<int>(lines, model_of);
  const auto labels = values_of<std::string>(lines, label_of);
  const auto indices = values_of<std::string>(lines, index_of);
  const auto drawn_models = some_of(in_use, kDrawn);
  const auto drawn_indices = some_of(indices, kDrawn);
  const bool by_index = indices.size() > 1, by_model = !by_index && in_use.size() > 1;
  for (const Line& line : lines) {
    Series series = line.series;
    std::vector<std::string> name;
    if (in_use.size() > 1 || (labels.size() < 2 && !by_index))
      name.push_back(models[static_cast<std::size_t>(line.model)]);
    if (labels.size() > 1) name.push_back(line.label);
    if (by_index) name.push_back(line.index);
    for (const std::string& part : name) series.name += (series.name.empty() ? "" : ", ") + part;
    const std::size_t model = place_in(drawn_models, line.model),
                      index = place_in(drawn_indices, line.index),
                      label = place_in(labels, line.label);
    series.colour = static_cast<int>(by_index ? index : by_model ? model : label);
    series.dashed = (by_index || by_model) && label % 2 == 1;
    series.in_table_only = model == drawn_models.size() || index == drawn_indices.size();
    chart.series.push_back(std::move(series));
  }
  if (labels.size() > 1 && (by_index || by_model)) {
    for (std::size_t i = 0; by_index && i < drawn_indices.size(); ++i)
      chart.legend.push_back({drawn_indices[i], static_cast<int>(i)});
    for (std::size_t m = 0; by_model && m < drawn_models.size(); ++m)
      chart.legend.push_back(
          {models[static_cast<std::size_t>(drawn_models[m])], static_cast<int>(m)});
    for (std::size_t i = 0; i < labels.size(); ++i)
      chart.legend.push_back({labels[i], LegendEntry::text_colour, i % 2 == 1});
  }
  const auto drawn = std::count_if(chart.series.begin(), chart.series.end(),
                                   [](const Series& series) { return !series.in_table_only; });
  if (static_cast<std::size_t>(drawn) < chart.series.size())
    chart.note += str(chart.note.empty() ? "" : " ", drawn, " of ", chart.series.size(),
                      " lines are drawn, the numbers are of all.");
}

std::string axis_in_words(const std::string& axis) {
  if (axis == "layer") return "block, from 0";
  if (axis == "epoch") return "epochs finished";
  if (axis == "depth") return "depth, in blocks";
  return axis == "frequency" ? "frequency, in π per patch" : axis;
}

struct MetricReader {
  Measurements& into;
  const std::string name;
  const ordered_json& metric;

  void read() {
    const ordered_json& all = json_member(metric, "series");
    if (!all.is_array()) return leave_out("it has no series");
    // By part, encoder before decoder, and x axis.
    std::map<std::tuple<bool, std::string, std::string>, std::vector<Line>> groups;
    for (const ordered_json& series : all) {
      const std::string axis = text_of(series, "x").empty() ? "layer" : text_of(series, "x");
      std::vector<double> x = numbers(series, "at");
      if (x.empty()) x = numbers(series, axis);
      if (x.empty() && axis == "layer") x = counted(numbers(series, "values").size());
      const ordered_json& model = json_member(series, "model");
      const bool known = model.is_number_integer() && model.get<std::int64_t>() >= 0 &&
                         model.get<std::size_t>() < into.models.size();
      if (x.empty() || x.size() != numbers(series, "values").size() || !known) {
        leave_out("a series needs a model, and values as many as points");
        continue;
      }
      const std::string part = text_of(series, "part");
      groups[{part == "decoder", part, axis}].push_back(line_of(series, x));
    }
    for (const auto& [key, lines] : groups) add_charts(std::get<1>(key), std::get<2>(key), lines);
  }

  // One chart; where heads or blocks are told apart, one for each of a few models.
  void add_charts(const std::string& part, const std::string& axis,
                  const std::vector<Line>& lines) {
    constexpr std::size_t kModels = 3;
    const bool detailed = values_of<std::string>(lines, index_of).size() > 1;
    const auto models = values_of<int>(lines, model_of);
    const auto add = [&](const std::string& of, const std::vector<Line>& shown) {
      Chart chart = empty_chart(part, axis);
      chart.title += of;
      fill(chart, shown, into.models);
      into.charts.push_back(
          {text_of(metric, "paper"), detailed && axis != "epoch", std::move(chart)});
    };
    if (!detailed) return add("", lines);
    for (const int model : some_of(models, kModels)) {
      std::vector<Line> own;
      std::copy_if(lines.begin(), lines.end(), std::back_inserter(own),
                   [&](const Line& line) { return line.model == model; });
      add(models.size() > 1 ? ", " + into.models[static_cast<std::size_t>(model)] : "", own);
    }
  }

  Chart empty_chart(const std::string& part, const std::string& axis) const {
    Chart chart;
    chart.title = text_of(metric, "title").empty() ? name : text_of(metric, "title");
    if (!part.empty()) chart.title += ", " + part;
    chart.note = text_of(metric, "good");
    chart.x_label = axis_in_words(axis);
    chart.y_label = text_of(metric, "unit");
    chart.names_lone_line = true;
    chart.may_be_negative = json_value<bool>(metric, "may_be_negative").value_or(true);
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
    content = parse_json(read_text(file, ExitCode::data));
  } catch (const Error& error) {
    into.notes.emplace_back(error.what());
    return into;
  }
  if (!content.is_object() || json_member(content, "schema") != 1) {
    into.notes.push_back(file.filename().string() +
                         " is left out: it is not a JSON object of schema 1");
    return into;
  }
  const ordered_json& data = json_member(content, "data");
  into.data = json_value<std::string>(data).value_or(text_of(data, "path"));
  into.images = json_value<std::int64_t>(content, "images").value_or(0);
  if (const ordered_json& models = json_member(content, "models"); models.is_array())
    into.models = model_names(models);
  const ordered_json& metrics = json_member(content, "metrics");
  if (metrics.is_object())
    for (const auto& [name, metric] : metrics.items()) MetricReader{into, name, metric}.read();
  read_figures(json_member(content, "figures"), file.parent_path(), into);
  return into;
}

}  // namespace sgmae
