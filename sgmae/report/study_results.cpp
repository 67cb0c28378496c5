#include "sgmae/report/study_results.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/json.h"
#include "sgmae/report/curves.h"
#include "sgmae/report/json_text.h"
#include "sgmae/report/markup.h"
#include "sgmae/report/score_table.h"
#include "sgmae/report/svg.h"

namespace sgmae {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

// The tests of a study (study/study.cpp), in the order in which they are shown.
constexpr std::array<std::pair<const char*, const char*>, 8> kTests{
    std::pair{"probe_mean", "Linear probe on the mean patch token"},
    std::pair{"probe_cls", "Linear probe on the class token"},
    std::pair{"knn_mean", "k-NN, k = 20, mean patch token"},
    std::pair{"knn_cls", "k-NN, k = 20, class token"},
    std::pair{"finetune", "Fine-tuning"},
    std::pair{"probe_mean_class_mean", "Linear probe on the mean patch token, mean over classes"},
    std::pair{"probe_cls_class_mean", "Linear probe on the class token, mean over classes"},
    std::pair{"finetune_class_mean", "Fine-tuning, mean over classes"}};

// One row of table.json.
struct Tested {
  std::int64_t epoch = 0;
  std::string variant, metric;
  double seeds = 0;
  Score score;
};

double number(const ordered_json& object, const char* key) {
  return json_value<double>(object, key).value_or(NAN);
}

std::vector<Tested> rows_of(const ordered_json& table) {
  std::vector<Tested> rows;
  const ordered_json& list = json_member(table, "rows");
  if (!list.is_array()) return rows;
  for (const ordered_json& json : list) {
    const auto epoch = json_value<std::int64_t>(json, "epoch");
    const auto variant = json_value<std::string>(json, "variant"),
               metric = json_value<std::string>(json, "metric");
    if (!epoch || !variant || !metric) continue;
    Tested row{*epoch,
               *variant,
               *metric,
               number(json, "count"),
               {number(json, "mean"), number(json, "deviation")}};
    if (const ordered_json& by = json_member(json, "difference"); by.is_object())
      row.score.difference =
          ScoreDifference{number(by, "mean"), number(by, "low"), number(by, "high")};
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<std::string> variants_of(const std::vector<Tested>& rows) {
  std::vector<std::string> variants;
  for (const Tested& row : rows)
    if (std::find(variants.begin(), variants.end(), row.variant) == variants.end())
      variants.push_back(row.variant);
  return variants;
}

// Those that any row has: key, and words.
std::vector<std::pair<std::string, std::string>> tests_of(const std::vector<Tested>& rows) {
  std::set<std::string> present;
  for (const Tested& row : rows) present.insert(row.metric);
  std::vector<std::pair<std::string, std::string>> tests;
  for (const auto& [key, words] : kTests)
    if (present.erase(key) > 0) tests.emplace_back(key, words);
  for (const std::string& other : present) tests.emplace_back(other, other);
  return tests;
}

const Tested* find(const std::vector<Tested>& rows, std::int64_t epoch, const std::string& variant,
                   const std::string& metric) {
  for (const Tested& row : rows)
    if (row.epoch == epoch && row.variant == variant && row.metric == metric) return &row;
  return nullptr;
}

std::string score_table(const ordered_json& table, const std::vector<Tested>& rows) {
  const auto tests = tests_of(rows);
  ScoreTable scores{.of = "variant",
                    .measures = {},
                    .more = {"seeds", "training, hours a run"},
                    .reference = json_value<std::string>(table, "reference").value_or(""),
                    .groups = {}};
  for (const auto& [key, words] : tests) scores.measures.push_back(words);
  std::set<std::int64_t> epochs;
  for (const Tested& row : rows) epochs.insert(row.epoch);
  for (const std::int64_t epoch : epochs) {
    scores.groups.push_back({str("after epoch ", epoch), {}});
    for (const std::string& variant : variants_of(rows)) {
      ScoreRow shown{variant, {}, {}};
      double seeds = 0;
      for (const auto& [key, words] : tests) {
        const Tested* const row = find(rows, epoch, variant, key);
        shown.scores.push_back(row ? row->score : Score{});
        if (row) seeds = std::max(seeds, row->seeds);
      }
      if (seeds == 0) continue;
      const double hours = number(json_member(table, "train_seconds"), variant.c_str()) / 3600;
      shown.more = {readable(seeds, 9), std::isnan(hours) ? "" : fixed(hours, 2)};
      scores.groups.back().rows.push_back(std::move(shown));
    }
  }
  return score_table_html(scores);
}

// A chart for each test that was made after several epochs.
std::vector<Chart> charts_of(const std::vector<Tested>& rows) {
  std::vector<Chart> charts;
  for (const auto& [key, words] : tests_of(rows)) {
    Chart chart{.title = words, .x_label = "epochs finished", .y_label = "%"};
    chart.note = "Mean over seeds; shaded: their standard deviation.";
    chart.may_be_negative = false;
    bool over_epochs = false;
    for (const std::string& variant : variants_of(rows)) {
      Series series{.name = variant};
      series.colour = static_cast<int>(chart.series.size());
      for (const Tested& row : rows) {
        if (row.variant != variant || row.metric != key) continue;
        series.x.push_back(static_cast<double>(row.epoch));
        series.y.push_back(100 * row.score.value);
        series.interval.push_back(100 * row.score.deviation);
      }
      series.spread = series.interval;
      over_epochs |= series.x.size() > 1;
      if (!series.x.empty()) chart.series.push_back(std::move(series));
    }
    if (over_epochs) charts.push_back(std::move(chart));
  }
  return charts;
}

// cells/VARIANT-sSEED: the variant, and its seed or -1 for another name.
std::pair<std::string, std::int64_t> cell_of(const std::string& name) {
  const std::size_t at = name.rfind("-s");
  std::int64_t seed = -1;
  if (at != name.npos) {
    const char* const end = name.data() + name.size();
    if (std::from_chars(name.data() + at + 2, end, seed).ptr != end) seed = -1;
  }
  return {name.substr(0, at), seed};
}

}  // namespace

bool is_study(const fs::path& folder) {
  std::error_code error;
  return fs::is_directory(folder / "cells", error) && !fs::exists(folder / "config.toml", error);
}

StudyRecord read_study(const fs::path& folder, std::vector<RunRecord>& runs) {
  StudyRecord study;
  study.folder = fs::absolute(folder).lexically_normal();
  if (!study.folder.has_filename()) study.folder = study.folder.parent_path();
  study.name = study.folder.filename().string();
  study.table = ordered_json::object();
  if (fs::exists(study.folder / "table.json")) {
    study.table = parse_json(read_text(study.folder / "table.json", ExitCode::data));
    if (!study.table.is_object()) {
      study.table = ordered_json::object();
      study.notes.push_back("table.json is left out: it is not a JSON object");
    }
  }
  std::map<std::string, std::pair<std::int64_t, fs::path>> first;  // by variant
  std::error_code error;
  for (fs::directory_iterator at(study.folder / "cells", error), end; !error && at != end;
       at.increment(error)) {
    const auto [variant, seed] = cell_of(at->path().filename().string());
    if (seed < 0 || !at->is_directory(error)) continue;
    const auto [place, is_new] = first.try_emplace(variant, seed, at->path());
    if (!is_new && seed < place->second.first) place->second = {seed, at->path()};
  }
  // The reference first, since others are held against it, then the study's order.
  std::vector<std::string> order{json_value<std::string>(study.table, "reference").value_or("")};
  for (const std::string& variant : variants_of(rows_of(study.table))) order.push_back(variant);
  for (const auto& [variant, cell] : first) order.push_back(variant);
  for (const std::string& variant : order) {
    const auto found = first.find(variant);
    if (found == first.end()) continue;
    try {
      runs.push_back(read_run(found->second.second));
      study.runs.push_back(runs.back().name);
    } catch (const Error& error) {  // a cell that has only begun
      study.notes.emplace_back(error.what());
    }
    first.erase(found);
  }
  check(!study.runs.empty(), ExitCode::data, folder.string(),
        " is a study in which no run has begun; sgmae study begins and resumes it");
  return study;
}

std::string study_results(const StudyRecord& study) {
  const std::vector<Tested> rows = rows_of(study.table);
  std::string out;
  for (const std::string& note : study.notes)
    out += text_element("p", note, {{"class", "warning"}});
  if (rows.empty()) return out + text_element("p", study.name + ": nothing was tested yet");
  return out + score_table(study.table, rows) + cards(charts_of(rows)) +
         text_element("p",
                      "Below, each variant is shown by the run of its first seed: " +
                          joined(study.runs, ", ") + ".",
                      {{"class", "quiet"}});
}

}  // namespace sgmae
