#include "sgmae/report/evaluations.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <span>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/base/json.h"
#include "sgmae/report/blocks.h"
#include "sgmae/report/confusion.h"
#include "sgmae/report/curves.h"
#include "sgmae/report/detections.h"
#include "sgmae/report/markup.h"
#include "sgmae/report/score_table.h"

namespace sgmae {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;
using Runs = std::vector<RunRecord>;
using Words = std::pair<const char*, const char*>;

// ---- in words -----------------------------------------------------------------------------------

constexpr std::array kWords{Words{"acc1", "top-1"},
                            Words{"acc5", "top-5"},
                            Words{"class_mean", "mean over classes"},
                            Words{"box_ap", "box AP"},
                            Words{"box_ap50", "box AP50"},
                            Words{"box_ap75", "box AP75"},
                            Words{"mask_ap", "mask AP"},
                            Words{"mask_ap50", "mask AP50"},
                            Words{"mask_ap75", "mask AP75"},
                            Words{"miou", "mean IoU"},
                            Words{"iou", "IoU"},
                            Words{"accuracy", "accuracy"},
                            Words{"mean_accuracy", "mean over classes"},
                            Words{"fw_iou", "IoU by pixels"},
                            Words{"mistaken_for", "most often taken for"},
                            Words{"per_class", "Classes"},
                            Words{"table", "Other features and k"},
                            Words{"trials", "Regularisations that were tried"},
                            Words{"held_out_acc1", "top-1, held out"},
                            Words{"held_out_loss", "loss, held out"},
                            Words{"test_images", "test images"},
                            Words{"train_images", "training images"}};

std::string in_words(const std::string& key) {
  for (const auto& [name, words] : kWords)
    if (key == name) return words;
  return key;
}

// Tasks whose scores stand in one table: what only they measure, and the commands of which an
// evaluation that was not tested yet is one.
struct TaskKind {
  const char* name;
  const char* sign;
  std::vector<std::string> commands, measures;
};

const std::vector<TaskKind>& task_kinds() {
  static const std::vector<TaskKind> all{
      {"Classes of images", "acc1", {"linprobe", "finetune"}, {"acc1", "acc5", "class_mean"}},
      {"Objects",
       "box_ap",
       {"detect"},
       {"box_ap", "box_ap50", "box_ap75", "mask_ap", "mask_ap50", "mask_ap75"}},
      {"Classes of pixels", "miou", {"segment"}, {"miou", "accuracy", "mean_accuracy", "fw_iou"}}};
  return all;
}

// A share, wherever the result has it: k-NN tests put "knn_" before, and what they and probes found
// also stands under "test".
double value_of(const ordered_json& result, const std::string& key) {
  for (const ordered_json* value :
       {&json_member(result, key.c_str()), &json_member(result, ("knn_" + key).c_str()),
        &json_member(json_member(result, "test"), key.c_str())})
    if (value->is_number()) return value->get<double>();
  return NAN;
}

std::string text_of(const ordered_json& object, const char* key) {
  return json_value<std::string>(object, key).value_or("");
}

std::string tokens_in_words(const std::string& features) {
  if (features == "cls") return "class token";
  return features == "mean" ? "mean of the patch tokens" : features;
}

// The row of the table of a k-NN test that is its headline.
std::string knn_name(const ordered_json& result) {
  const ordered_json& table = json_member(result, "table");
  if (table.is_array())
    for (const ordered_json& row : table)
      if (json_member(row, "acc1") == json_member(result, "knn_acc1") && row.contains("k"))
        return joined({"k-NN, k = " + readable(json_value<double>(row, "k").value_or(NAN), 9),
                       tokens_in_words(text_of(row, "features"))},
                      ", ");
  return "k-NN";
}

// ---- the tables ---------------------------------------------------------------------------------

// How far from the truth the share may be because there are no more test images (95 %).
double half_interval(double share, double images) {
  return 1.96 * std::sqrt(share * (1 - share) / images);
}

// Cells beside the scores: the epoch of the encoder, test images, and how far it is if it goes
// on, and its own page.
std::vector<std::string> further_cells(const RunResult& result, const fs::path& page) {
  const ordered_json& content = result.content;
  double epoch = value_of(content, "checkpoint_epoch");
  if (std::isnan(epoch)) epoch = value_of(content, "epoch");
  const double images = value_of(content, "test_images");
  std::string link = escape(result.progress.empty() ? "" : "goes on, " + result.progress);
  if (!page.empty() && !result.report.empty())
    link +=
        text_element("a", "its report",
                     {{"href", url_path(result.report.lexically_relative(page).generic_string())}});
  return {std::isnan(epoch) ? "" : readable(epoch, 9),
          std::isnan(images) ? "" : readable(images, 9), link};
}

bool is_of(const TaskKind& kind, const RunResult& result) {
  if (!result.progress.empty())
    return std::find(kind.commands.begin(), kind.commands.end(), result.kind) !=
           kind.commands.end();
  return !std::isnan(value_of(result.content, kind.sign));
}

struct Evaluated {
  std::size_t run;
  const RunResult* result;
  std::string name;
};

// Of all runs, those of one kind of task. Two of a run that are called the same have their folder's
// name after it.
std::vector<Evaluated> evaluations_of(const Runs& runs, const TaskKind& kind) {
  std::vector<Evaluated> all;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    std::map<std::string, int> count;
    for (const RunResult& result : runs[r].results) ++count[evaluation_name(result)];
    for (const RunResult& result : runs[r].results) {
      if (!is_of(kind, result)) continue;
      std::string name = evaluation_name(result);
      const std::string folder = fs::path(result.file).parent_path().string();
      if (count[name] > 1 && !folder.empty()) name += " (" + folder + ")";
      all.push_back({r, &result, std::move(name)});
    }
  }
  return all;
}

std::vector<Score> scores_of(const ordered_json& result, const std::vector<std::string>& measures) {
  std::vector<Score> scores;
  for (const std::string& measure : measures)
    scores.push_back({.value = value_of(result, measure)});
  return scores;
}

std::string task_table(const Runs& runs, const TaskKind& kind, const fs::path& page) {
  const std::vector<Evaluated> all = evaluations_of(runs, kind);
  if (all.empty()) return "";
  const bool several = runs.size() > 1;
  std::vector<std::string> measures = kind.measures;
  std::erase_if(measures, [&](const std::string& measure) {
    return std::all_of(all.begin(), all.end(), [&](const Evaluated& one) {
      return std::isnan(value_of(one.result->content, measure));
    });
  });
  ScoreTable table{.of = several ? "run" : "evaluation",
                   .measures = {},
                   .more = {"encoder after epoch", "test images", ""},
                   .reference = runs.front().name,
                   .groups = {}};
  for (const std::string& measure : measures) table.measures.push_back(in_words(measure));
  double most_chance = 0;
  for (const Evaluated& one : all) {
    // Evaluations of one run are no rivals: each is a group of its own.
    auto group = std::find_if(table.groups.begin(), table.groups.end(),
                              [&](const ScoreGroup& g) { return several && g.title == one.name; });
    if (group == table.groups.end())
      group = table.groups.insert(group, {several ? one.name : "", {}});
    ScoreRow row{several ? runs[one.run].name : one.name, scores_of(one.result->content, measures),
                 further_cells(*one.result, page)};
    const ScoreRow* const first = several && one.run > 0 && !group->rows.empty() &&
                                          group->rows.front().name == runs.front().name
                                      ? &group->rows.front()
                                      : nullptr;
    for (std::size_t c = 0; first && c < measures.size(); ++c)
      if (const double by = row.scores[c].value - first->scores[c].value; !std::isnan(by))
        row.scores[c].difference = ScoreDifference{.mean = by};
    group->rows.push_back(std::move(row));
    const double chance = half_interval(value_of(one.result->content, "acc1"),
                                        value_of(one.result->content, "test_images"));
    if (std::isfinite(chance)) most_chance = std::max(most_chance, chance);
  }
  std::string out = score_table_html(table);
  if (most_chance > 0)
    out += text_element("p",
                        "With other test images of the same kind a top-1 could come out " +
                            fixed(100 * most_chance, 1) + " points higher or lower (95 %).",
                        {{"class", "quiet"}});
  return out;
}

// ---- all that a result.json holds ---------------------------------------------------------------

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
    return fixed(100 * number, 2) + " %";
  return readable(number, value.is_number_integer() ? 15 : 6);
}

// The rows of a table whose columns are the keys of all of them.
std::string rows_table(const std::vector<std::pair<std::string, ordered_json>>& rows) {
  Table table{.head = {""}, .rows = {}, .numbers = true};
  std::vector<std::string> keys;
  for (const auto& [name, row] : rows)
    for (const auto& [key, value] : row.items())
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  for (const std::string& key : keys) table.head.push_back(in_words(key));
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
      into.tables += fold(str(in_words(key), " (", rows.size(), " rows)"), rows_table(rows));
    } else if (value.is_object() && depth > 0) {
      flatten(value, name, depth - 1, into);
    }
  }
}

// What one evaluation found beyond the table.
std::string details(const RunResult& result) {
  std::string out;
  if (const auto confusion = read_confusion(result.content)) out += confusion_card(*confusion);
  FlatResult flat;
  flatten(result.content, "", 2, flat);
  Table table;
  for (const auto& [name, value] : flat.values) table.rows.push_back({name, value});
  out += flat.tables;
  if (!table.rows.empty()) out += fold("All values", table_html(table));
  return out;
}

}  // namespace

std::string evaluation_name(const RunResult& result) {
  const ordered_json& content = result.content;
  const std::string features = tokens_in_words(text_of(content, "features"));
  if (content.contains("knn_acc1")) return knn_name(content);
  if (result.kind == "segment" || content.contains("miou")) return "Segmentation";
  if (result.kind == "detect" || content.contains("box_ap")) return "Detection";
  if (result.kind == "linprobe" || !features.empty())
    return joined(
        {text_of(content, "protocol").starts_with("cached") ? "Linear probe (exact, whole images)"
                                                            : "Linear probe",
         features},
        ", ");
  if (result.kind == "finetune" || content.contains("best_acc1")) return "Fine-tuning";
  return "Classifier";
}

std::string results(const Runs& runs, const fs::path& page) {
  std::vector<std::pair<std::string, std::string>> tables;
  for (const TaskKind& kind : task_kinds())
    if (const std::string table = task_table(runs, kind, page); !table.empty())
      tables.emplace_back(kind.name, table);
  std::string out;
  for (const auto& [name, table] : tables)
    out += (tables.size() > 1 ? text_element("h3", name) : "") + table;
  for (const RunRecord& run : runs)
    for (const RunResult& result : run.results)
      if (const std::string more = details(result); !more.empty())
        out += fold(joined({runs.size() > 1 ? run.name : "", evaluation_name(result)}, ": ") +
                        ": classes, mistakes, all values",
                    more);
  std::vector<Chart> charts = result_charts(runs);
  for (Chart& chart : precision_charts(runs)) charts.push_back(std::move(chart));
  return out + cards(charts);
}

}  // namespace sgmae
