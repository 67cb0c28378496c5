#include "sgmae/report/report.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "sgmae/base/file.h"
#include "sgmae/base/version.h"
#include "sgmae/report/blocks.h"
#include "sgmae/report/confusion.h"
#include "sgmae/report/curves.h"
#include "sgmae/report/detections.h"
#include "sgmae/report/markup.h"
#include "sgmae/report/measurements.h"
#include "sgmae/report/reproduce.h"
#include "sgmae/report/style.h"

namespace sgmae {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;
using Runs = std::vector<RunRecord>;

std::string percent(double share) {
  return std::isnan(share) ? "" : fixed(100 * share, 2) + " %";
}

std::string number_or_blank(double value, int digits = 4) {
  return std::isnan(value) ? "" : readable(value, digits);
}

std::string count_or_blank(double value) {
  return std::isnan(value) ? "" : readable(value, 12);
}

std::string clock(double seconds) {
  const auto whole = static_cast<long long>(std::llround(seconds));
  const auto two = [](long long value) { return (value < 10 ? "0" : "") + std::to_string(value); };
  return std::to_string(whole / 3600) + ":" + two(whole / 60 % 60) + ":" + two(whole % 60);
}

std::string environment(const RunRecord& run, const std::string& key) {
  const auto found = run.environment.find(key);
  if (found == run.environment.end() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>()
                            : found->dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string joined(const std::vector<std::string>& parts, const std::string& between) {
  std::string out;
  for (const std::string& part : parts)
    if (!part.empty()) out += (out.empty() ? "" : between) + part;
  return out;
}

// Seconds of training steps, from the images of an epoch and their rate; without evaluation,
// pictures and relevance maps. NaN where the folder does not say.
double training_seconds(const RunRecord& run) {
  const auto rate = run.log.column.find("img_per_s");
  if (!run.messages.images_per_epoch || rate == run.log.column.end()) return NAN;
  double seconds = 0;
  for (const double images_per_second : rate->second)
    if (images_per_second > 0)
      seconds += static_cast<double>(*run.messages.images_per_epoch) / images_per_second;
  return seconds;
}

// Mean over epochs, weighted by their time (1 / throughput, since they have equally many images).
double mean_over_time(const RunRecord& run, const std::string& key) {
  const auto rate = run.log.column.find("img_per_s"), values = run.log.column.find(key);
  if (rate == run.log.column.end() || values == run.log.column.end()) return NAN;
  double sum = 0, time = 0;
  for (std::size_t i = 0; i < rate->second.size(); ++i) {
    if (!(rate->second[i] > 0) || std::isnan(values->second[i])) continue;
    sum += values->second[i] / rate->second[i];
    time += 1 / rate->second[i];
  }
  return time > 0 ? sum / time : NAN;
}

std::string picture_size(const RunRecord& run) {
  const std::string side = run.setting("input_size"), height = run.setting("input_height"),
                    width = run.setting("input_width");
  const auto or_side = [&](const std::string& value) {
    return value.empty() || value == "0" ? side : value;
  };
  return side.empty() || side == "0" ? "" : or_side(height) + "×" + or_side(width) + " pixels";
}

std::string masks(const RunRecord& run) {
  const std::string ratio = run.setting("mask_ratio");
  std::string kind = run.setting("mask_strategy");
  std::replace(kind.begin(), kind.end(), '_', '-');
  return joined({kind, ratio.empty() ? "" : ratio + " of the patches hidden"}, ", ");
}

std::string guidance(const RunRecord& run) {
  if (run.setting("mask_strategy") != "self_guided") return "";
  if (const double start = run.log.last("guide_start"); !std::isnan(start))
    return "began at epoch T = " + readable(start);
  return "not begun (guide_start = " + run.setting("guide_start") + ")";
}

std::string epochs(const RunRecord& run) {
  if (run.log.epoch.empty()) return "none finished";
  const std::string planned = run.setting("epochs");
  return std::to_string(run.log.epoch.size()) + (planned.empty() ? "" : " of " + planned);
}

std::string accuracy(const RunRecord& run, const std::string& key) {
  const double last = run.log.last(key);
  if (std::isnan(last)) return "";
  const double best = run.log.largest(key);
  // MAE's evaluation logs percent, our k-NN test shares.
  const double scale = key.starts_with("knn") ? 100 : 1;
  return fixed(scale * last, 2) + " % after the last epoch" +
         (best > last ? ", " + fixed(scale * best, 2) + " % at best" : "");
}

std::string flop(double tera) {
  if (std::isnan(tera)) return "";
  return tera >= 1000 ? readable(tera / 1000) + " PFLOP" : readable(tera) + " TFLOP";
}

std::string overview(const Runs& runs) {
  using Say = std::function<std::string(const RunRecord&)>;
  const std::vector<std::pair<std::string, Say>> rows{
      {"Model",
       [](const RunRecord& r) {
         return joined({r.setting("model"), picture_size(r)}, ", ");
       }},
      {"Sizes", [](const RunRecord& r) { return r.messages.model; }},
      {"Checkpoint",
       [](const RunRecord& r) {
         return joined({r.setting("checkpoint"), r.setting("finetune")}, ", ");
       }},
      {"Data",
       [](const RunRecord& r) {
         return joined({r.setting("data_path"), r.messages.data}, ": ");
       }},
      {"Masks", masks},
      {"Guidance", guidance},
      {"Epochs", epochs},
      {"Training loss",
       [](const RunRecord& r) { return number_or_blank(r.log.last("train_loss")); }},
      {"k-NN accuracy", [](const RunRecord& r) { return accuracy(r, "knn_acc1"); }},
      {"Test accuracy", [](const RunRecord& r) { return accuracy(r, "test_acc1"); }},
      {"Box AP", [](const RunRecord& r) { return accuracy(r, "test_box_ap"); }},
      {"Mask AP", [](const RunRecord& r) { return accuracy(r, "test_mask_ap"); }},
      {"Mean IoU", [](const RunRecord& r) { return accuracy(r, "test_miou"); }},
      {"Time in training steps",
       [](const RunRecord& r) {
         const double seconds = training_seconds(r);
         const std::string threads = environment(r, "threads");
         return std::isnan(seconds)
                    ? ""
                    : clock(seconds) + (threads.empty() ? "" : " on " + threads + " threads");
       }},
      {"Throughput",
       [](const RunRecord& r) {
         const double rate = mean_over_time(r, "img_per_s");
         return std::isnan(rate) ? "" : readable(rate) + " images/s";
       }},
      {"Arithmetic",
       [](const RunRecord& r) {
         return flop(mean_over_time(r, "tflop_per_s") * training_seconds(r));
       }},
      {"Waiting for data",
       [](const RunRecord& r) { return percent(mean_over_time(r, "data_wait_frac")); }},
      {"Skipped steps",
       [](const RunRecord& r) { return count_or_blank(r.log.largest("skipped_steps")); }},
      {"Unreadable images",
       [](const RunRecord& r) { return count_or_blank(r.log.largest("unreadable_images")); }},
      {"Restarts",
       [](const RunRecord& r) {
         return r.log.epoch.empty() ? ""
                                    : str(r.messages.continued, " continued, ",
                                          r.messages.rollbacks, " rolled back");
       }},
      {"Machine",
       [](const RunRecord& r) {
         return joined({environment(r, "processor"), environment(r, "precision")}, ", ");
       }},
      {"Started", [](const RunRecord& r) { return environment(r, "started"); }}};
  Table table;
  table.head = {""};
  for (const RunRecord& run : runs) table.head.push_back(run.name);
  for (const auto& [label, say] : rows) {
    std::vector<std::string> row{label};
    for (const RunRecord& run : runs) row.push_back(say(run));
    if (std::any_of(row.begin() + 1, row.end(), [](const auto& cell) { return !cell.empty(); }))
      table.rows.push_back(std::move(row));
  }
  return table_html(table);
}

std::string notes(const Runs& runs) {
  std::string items;
  for (const RunRecord& run : runs)
    for (const std::string& note : run.notes) items += text_element("li", run.name + ": " + note);
  return items.empty() ? "" : element("ul", {{"class", "warning"}}, items);
}

// ---- results ------------------------------------------------------------------------------------

bool is_flat(const ordered_json& value) {
  return value.is_object() && !value.empty() &&
         std::all_of(value.begin(), value.end(), [](const auto& v) { return v.is_primitive(); });
}

// Shares of right answers, and average precision and recall, are told in percent.
bool is_share(const std::string& key) {
  for (const char* of : {"box_ap", "box_ar", "mask_ap", "mask_ar"})
    if (key.find(of) != std::string::npos) return true;
  for (const char* of : {"acc", "class_mean", "iou"})
    if (key.find(of) != std::string::npos) return true;
  return false;
}

std::string cell(const std::string& key, const ordered_json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return readable(NAN);
  if (!value.is_number()) return value.dump();
  const double number = value.get<double>();
  if (is_share(key) && value.is_number_float() && number >= 0 && number <= 1)
    return percent(number);
  return readable(number, value.is_number_integer() ? 15 : 6);
}

// The rows of a table whose columns are the keys of all of them.
std::string rows_table(const std::vector<std::pair<std::string, ordered_json>>& rows) {
  Table table{.head = {""}, .rows = {}, .numbers = true};
  std::vector<std::string> keys;
  for (const auto& [name, row] : rows)
    for (const auto& [key, value] : row.items())
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  table.head.insert(table.head.end(), keys.begin(), keys.end());
  for (const auto& [name, row] : rows) {
    std::vector<std::string> cells{name};
    for (const std::string& key : keys)
      cells.push_back(row.contains(key) ? cell(key, row[key]) : "");
    table.rows.push_back(std::move(cells));
  }
  return table_html(table);
}

// Single values of a result by name ("test acc1"), and the tables inside it.
struct FlatResult {
  std::vector<std::pair<std::string, std::string>> values;
  std::string tables;
};

void flatten(const ordered_json& object, const std::string& prefix, int depth, FlatResult& into) {
  for (const auto& [key, value] : object.items()) {
    const std::string name = prefix.empty() ? key : prefix + " " + key;
    if (value.is_primitive()) {
      into.values.emplace_back(name, cell(key, value));
      continue;
    }
    std::vector<std::pair<std::string, ordered_json>> rows;
    for (const auto& [row, content] : value.items())
      if (is_flat(content)) rows.emplace_back(value.is_array() ? "" : row, content);
    const bool is_table = !rows.empty() && rows.size() == value.size();
    const bool is_column = is_flat(value) && value.size() > 12;  // one number per class
    if (is_column) {
      rows.clear();
      for (const auto& [row, content] : value.items())
        rows.emplace_back(row, ordered_json{{key + (is_share(key) ? "" : " acc"), content}});
    }
    if (is_table || is_column) {
      into.tables += fold(name + " (" + std::to_string(rows.size()) + " rows)", rows_table(rows));
    } else if (value.is_object() && depth > 0) {
      flatten(value, name, depth - 1, into);
    }
  }
}

// What a reader looks for first: how right the model is, and which model it was.
bool is_headline(const std::string& name) {
  for (const char* detail : {"_small", "_medium", "_large", "_ar100"})
    if (name.ends_with(detail)) return false;
  const bool quality = is_share(name) || name.starts_with("AP");
  return (quality && !name.starts_with("test ")) || name == "checkpoint" || name == "protocol";
}

std::string results(const Runs& runs) {
  constexpr std::size_t most_columns = 20;
  Table headlines, further;
  headlines.head = {""};
  for (const RunRecord& run : runs) headlines.head.push_back(run.name);
  further.head = headlines.head;
  std::map<std::string, std::size_t> row_of;
  std::string tables;
  for (std::size_t r = 0; r < runs.size(); ++r)
    for (const RunResult& result : runs[r].results) {
      FlatResult flat;
      flatten(result.content, "", 2, flat);
      const std::string folder = fs::path(result.file).parent_path().string();
      for (const auto& [name, value] : flat.values) {
        const std::string label = folder.empty() ? name : folder + ": " + name;
        Table& table = is_headline(name) ? headlines : further;
        const auto [at, is_new] = row_of.emplace(label, table.rows.size());
        if (is_new) {
          table.rows.emplace_back(runs.size() + 1);
          table.rows.back()[0] = label;
        }
        table.rows[at->second][r + 1] = value;
      }
      if (const Confusion confusion = confusion_of(result.content, most_columns);
          !confusion.table.rows.empty())
        flat.tables += fold("confusion of classes",
                            text_element("p", confusion.meaning, {{"class", "quiet"}}) +
                                table_html(confusion.table));
      if (!flat.tables.empty())
        tables += text_element("h3", runs[r].name + ", " + result.file) + flat.tables;
    }
  std::vector<Chart> of_results = result_charts(runs);
  for (Chart& chart : precision_charts(runs)) of_results.push_back(std::move(chart));
  const std::string charts = cards(of_results);
  std::string out = headlines.rows.empty() ? "" : table_html(headlines);
  if (!further.rows.empty()) out += fold("Further values", table_html(further));
  return out + charts + tables;
}

// ---- pictures and measurements ------------------------------------------------------------------

// `count` of `files`, the first and the last among them, evenly spaced.
std::vector<fs::path> spaced(const std::vector<fs::path>& files, std::size_t count) {
  if (files.size() <= count) return files;
  if (count == 1) return {files.back()};
  std::vector<fs::path> chosen;
  for (std::size_t i = 0; i < count; ++i)
    chosen.push_back(files[i * (files.size() - 1) / (count - 1)]);
  return chosen;
}

// masks_after_epoch_0009.png: "masks after epoch 9"
std::string spoken(const fs::path& file) {
  std::string name = file.stem().string(), out;
  std::replace(name.begin(), name.end(), '_', ' ');
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool leading = name[i] == '0' && (i == 0 || name[i - 1] == ' ') && i + 1 < name.size() &&
                         name[i + 1] >= '0' && name[i + 1] <= '9';
    if (leading)
      name[i] = ' ';
    else
      out += name[i];
  }
  return out;
}

// Pictures that are shown together: those of a folder; the best and the worst of a test apart.
std::string group_of(const fs::path& file) {
  const std::string name = file.filename().string();
  for (const char* ranked : {"best_", "worst_"})
    if (name.starts_with(ranked)) return ranked;
  return "";
}

std::string caption_of(const RunRecord& run, const fs::path& file) {
  if (file.filename().string().starts_with("masks_after_epoch"))
    return "Columns: input; object, tinted; relevance; informed mask, hints outlined; "
           "reconstruction.";
  const std::string group = group_of(file);
  if (group.empty()) return "";
  const std::string of = group == "best_" ? "Of the images in which most is right."
                                          : "Of those in which least is right.";
  if (command_of(run) == "segment") return "The photo; what is there; what was predicted. " + of;
  return "Left: what is there; right: what was found, with its score (0.5 and above). " + of;
}

std::string pictures(const Runs& runs, const std::set<fs::path>& measured,
                     const ReportOptions& options, PictureBox& box) {
  std::string out;
  for (const RunRecord& run : runs) {
    std::map<std::pair<fs::path, std::string>, std::vector<fs::path>> groups;
    for (const fs::path& file : run.figures)
      if (!measured.contains(file)) groups[{file.parent_path(), group_of(file)}].push_back(file);
    for (const auto& [place, files] : groups) {
      const auto& [folder, ranked] = place;
      const auto count = static_cast<std::size_t>(options.figures);
      auto shown = spaced(files, count);
      if (!ranked.empty()) shown.assign(files.begin(), files.begin() + std::ssize(shown));
      std::string group;
      for (const fs::path& file : shown)
        group += box.picture(file, run.name + ", " + spoken(file), caption_of(run, file));
      if (shown.size() < files.size())
        group += text_element("p",
                              str(files.size() - shown.size(), " more in ",
                                  folder.lexically_relative(run.folder.parent_path()).string()),
                              {{"class", "quiet"}});
      out += element("div", {{"class", "grid pictures"}}, group);
    }
  }
  return out;
}

std::string analysis(const Runs& runs, std::set<fs::path>& measured, PictureBox& box) {
  std::string out;
  for (const RunRecord& run : runs)
    for (const fs::path& file : run.measurements) {
      const Measurements m = read_measurements(file);
      std::string text = m.images > 0 ? str(m.images, " images") : "";
      if (!m.data.empty()) text = joined({text, "of " + m.data}, " ");
      text = joined({run.name, file.lexically_relative(run.folder).string(), text}, ", ");
      out += text_element("p", text + "; figures and tables named are the paper's",
                          {{"class", "quiet"}});
      for (const std::string& note : m.notes)
        out += text_element("p", note, {{"class", "warning"}});
      out += cards(m.charts);
      if (const std::string more = cards(m.detailed_charts); !more.empty())
        out += fold("By head and block", more);
      std::string shown;
      for (const MeasuredFigure& figure : m.figures) {
        measured.insert(figure.file.lexically_normal());
        const std::string paper = figure.paper.empty() ? "" : "(" + figure.paper + ")";
        shown += box.picture(figure.file, figure.title, joined({figure.caption, paper}, " "));
      }
      if (!shown.empty()) out += element("div", {{"class", "grid pictures"}}, shown);
    }
  return out;
}

// ---- what happened, options, how to make it again -----------------------------------------------

std::string happenings(const Runs& runs) {
  std::string out;
  for (const RunRecord& run : runs) {
    if (run.messages.events.empty()) continue;
    std::string items;
    for (const std::string& event : run.messages.events) items += text_element("li", event);
    if (run.messages.further_events > 0)
      items += text_element("li", str("and ", run.messages.further_events, " more in train.log"));
    const std::string list = element("ul", {}, items);
    const std::size_t lines = run.messages.events.size();
    out += text_element("h3", run.name) + (lines > 12 ? fold(str(lines, " messages"), list) : list);
  }
  return out;
}

std::string option_table(const Runs& runs) {
  Table same, differing;
  same.head = {"option"};
  for (const RunRecord& run : runs) same.head.push_back(run.name);
  differing.head = same.head;
  std::vector<std::string> names;
  std::map<std::string, std::vector<std::string>> values;
  for (std::size_t r = 0; r < runs.size(); ++r)
    for (const Setting& setting : runs[r].settings) {
      const std::string name = setting.section + "." + setting.name;
      const auto [at, is_new] = values.try_emplace(name, runs.size());
      if (is_new) names.push_back(name);
      at->second[r] = setting.value.empty() ? "\"\"" : setting.value;
    }
  for (const std::string& name : names) {
    std::vector<std::string> row{name};
    const std::vector<std::string>& cells = values[name];
    row.insert(row.end(), cells.begin(), cells.end());
    const bool differs =
        std::any_of(cells.begin(), cells.end(), [&](const auto& c) { return c != cells[0]; });
    (differs ? differing : same).rows.push_back(std::move(row));
  }
  differing.marked.assign(differing.rows.size(), true);
  std::string out;
  if (!differing.rows.empty()) out += text_element("p", "These differ:") + table_html(differing);
  if (!same.rows.empty())
    out += fold(str(same.rows.size(), runs.size() > 1 ? " options that are the same" : " options"),
                table_html(same));
  return out;
}

std::string how_to_reproduce(const Runs& runs) {
  std::string out;
  for (const RunRecord& run : runs) {
    if (run.config_text.empty() && run.environment.empty()) continue;
    out += text_element("h3", run.name);
    if (const std::string command = reproducing_command(run); !command.empty())
      out += element("pre", {{"tabindex", "0"}}, text_element("code", command));
    Table table;
    for (const auto& [key, value] : run.environment.items())
      table.rows.push_back({key, environment(run, key)});
    if (!table.rows.empty()) out += fold("Versions and machine", table_html(table));
    if (!run.config_text.empty())
      out += fold("config.toml", element("pre", {{"tabindex", "0"}}, escape(run.config_text)));
  }
  return out;
}

struct Section {
  std::string id, title, content;
};

}  // namespace

Report make_report(Runs runs, const ReportOptions& options) {
  unique_names(runs);
  PictureBox box(static_cast<std::uintmax_t>(options.figure_mib) << 20);
  std::set<fs::path> measured;
  // The measurements' pictures come first: they are the fewer, and asked for.
  const std::string measurements = analysis(runs, measured, box);
  std::string training = cards(training_charts(runs));
  if (const std::string more = cards(further_charts(runs)); !more.empty())
    training += fold("Everything else in log.txt", more);
  const std::vector<Section> sections{
      {"overview", "Overview", overview(runs) + notes(runs)},
      {"results", "Results", results(runs)},
      {"training", "Training", training},
      {"exploitation", "Exploitation of mask tokens", cards(exploitation_charts(runs))},
      {"analysis", "Analysis", measurements},
      {"pictures", "Pictures", pictures(runs, measured, options, box)},
      {"messages", "What happened", happenings(runs)},
      {"options", "Options", option_table(runs)},
      {"reproduce", "How to reproduce", how_to_reproduce(runs)}};

  std::vector<std::string> names;
  for (const RunRecord& run : runs) names.push_back(run.name);
  const std::string title = options.title.empty() ? joined(names, ", ") : options.title;
  std::string links, body;
  for (const Section& section : sections) {
    if (section.content.empty()) continue;
    links += text_element("a", section.title, {{"href", "#" + section.id}});
    body += element("section", {{"id", section.id}},
                    text_element("h2", section.title) + section.content);
  }
  const std::string head =
      element("meta", {{"charset", "utf-8"}}) +
      element("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}}) +
      text_element("title", title) + element("style", {}, style_sheet());
  Report report;
  report.figures_left_out = box.left_out();
  report.html =
      "<!DOCTYPE html>\n" +
      element(
          "html", {{"lang", "en"}},
          element("head", {}, head) +
              element("body", {},
                      element("header", {}, text_element("h1", title) + element("nav", {}, links)) +
                          element("main", {}, body) +
                          element("footer", {}, text_element("p", str("sgmae ", version))))) +
      "\n";
  return report;
}

ordered_json write_report(const std::vector<fs::path>& folders, const fs::path& output,
                          const ReportOptions& options) {
  check(!folders.empty(), ExitCode::usage, "give one or more run folders");
  check(options.figures > 0 && options.figure_mib >= 0, ExitCode::usage,
        "figures must be 1 or more, and figure_mib not negative");
  Runs runs;
  for (const fs::path& folder : folders) {
    RunRecord run = read_run(folder);
    for (const RunRecord& other : runs)
      check(run.folder != other.folder, ExitCode::usage, folder.string(), " is given twice");
    runs.push_back(std::move(run));
  }
  ordered_json described = ordered_json::array();
  for (const RunRecord& run : runs) {
    ordered_json entry{{"name", run.name}, {"epochs", run.log.epoch.size()}};
    entry["train_loss"] = nullptr;
    if (const double loss = run.log.last("train_loss"); std::isfinite(loss))
      entry["train_loss"] = loss;
    entry["notes"] = run.notes;
    described.push_back(std::move(entry));
  }
  const Report report = make_report(std::move(runs), options);
  write_file(output, report.html);
  return {{"report", output.string()},
          {"bytes", report.html.size()},
          {"figures_left_out", report.figures_left_out},
          {"runs", described}};
}

}  // namespace sgmae
