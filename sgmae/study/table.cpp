#include "sgmae/study/table.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "sgmae/base/counted.h"
#include "sgmae/base/error.h"

namespace sgmae {
namespace {

using nlohmann::ordered_json;

// Metric by seed.
std::map<std::uint64_t, double> scores_of(const std::vector<CellResult>& cells,
                                          const std::string& variant, std::int64_t epoch,
                                          const std::string& metric) {
  std::map<std::uint64_t, double> scores;
  for (const CellResult& cell : cells) {
    const auto found = cell.metrics.find(metric);
    if (cell.variant == variant && cell.epoch == epoch && found != cell.metrics.end())
      scores[cell.seed] = found->second;
  }
  return scores;
}

ordered_json number(double value) {
  return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
}

std::string signed_percent(double share) {
  const std::string text = fixed(std::abs(100 * share), 2);
  return (share < 0 ? "−" : "+") + text;
}

std::string cell_text(const TableRow& row) {
  std::string text = fixed(100 * row.score.mean, 2);
  if (row.score.count > 1) text += " ± " + fixed(100 * row.score.deviation, 2);
  const PairedDifference& d = row.difference;
  if (d.count == 0) return text;
  text += " (" + signed_percent(d.mean);
  if (d.count > 1) text += ", " + signed_percent(d.low) + " … " + signed_percent(d.high);
  return text + ")";
}

}  // namespace

StudyTable make_table(const std::vector<CellResult>& cells,
                      const std::vector<std::string>& variants, const std::string& reference) {
  StudyTable table{
      .reference = reference, .rows = {}, .train_seconds = {}, .variants = {}, .cells = cells};
  std::set<std::int64_t> epochs;
  std::set<std::string> metrics;
  for (const CellResult& cell : cells) {
    epochs.insert(cell.epoch);
    for (const auto& [name, value] : cell.metrics) metrics.insert(name);
  }
  for (const std::int64_t epoch : epochs)
    for (const std::string& variant : variants)
      for (const std::string& metric : metrics) {
        const auto own = scores_of(cells, variant, epoch, metric);
        if (own.empty()) continue;
        TableRow row{epoch, variant, metric, {}, {}};
        std::vector<double> all, paired, against;
        const auto others = scores_of(cells, reference, epoch, metric);
        for (const auto& [seed, score] : own) {
          all.push_back(score);
          const auto other = others.find(seed);
          if (variant == reference || other == others.end()) continue;
          paired.push_back(score);
          against.push_back(other->second);
        }
        row.score = summarise(all);
        if (!paired.empty()) row.difference = paired_difference(paired, against);
        table.rows.push_back(std::move(row));
      }
  for (const std::string& variant : variants) {
    std::map<std::uint64_t, double> by_seed;
    for (const CellResult& cell : cells)
      if (cell.variant == variant) by_seed[cell.seed] = cell.train_seconds;
    if (by_seed.empty()) continue;
    std::vector<double> seconds;
    for (const auto& [seed, value] : by_seed) seconds.push_back(value);
    table.train_seconds[variant] = summarise(seconds);
    table.variants.push_back(variant);
  }
  return table;
}

ordered_json to_json(const StudyTable& table) {
  ordered_json rows = ordered_json::array(), cells = ordered_json::array();
  for (const TableRow& row : table.rows) {
    ordered_json entry{{"epoch", row.epoch},     {"variant", row.variant},
                       {"metric", row.metric},   {"count", row.score.count},
                       {"mean", row.score.mean}, {"deviation", number(row.score.deviation)},
                       {"difference", nullptr}};
    if (row.difference.count > 0)
      entry["difference"] = {{"count", row.difference.count},
                             {"mean", row.difference.mean},
                             {"low", number(row.difference.low)},
                             {"high", number(row.difference.high)}};
    rows.push_back(std::move(entry));
  }
  for (const CellResult& cell : table.cells)
    cells.push_back({{"variant", cell.variant},
                     {"seed", cell.seed},
                     {"epoch", cell.epoch},
                     {"metrics", cell.metrics},
                     {"train_seconds", cell.train_seconds}});
  ordered_json seconds = ordered_json::object();
  for (const std::string& variant : table.variants)
    seconds[variant] = table.train_seconds.at(variant).mean;
  return {
      {"reference", table.reference}, {"rows", rows}, {"train_seconds", seconds}, {"cells", cells}};
}

std::string to_markdown(const StudyTable& table, const std::string& title) {
  std::string text = "# " + (title.empty() ? std::string("Study") : title) +
                     "\n\nTop-1 accuracy in percent: mean ± standard deviation over seeds, and in "
                     "brackets the difference to " +
                     table.reference +
                     ", paired by seed, with its 95 % interval (Student's t). `knn`: weighted "
                     "20-NN; `probe`: logistic regression on frozen features; `mean`, `cls`: mean "
                     "of the patch tokens, class token; `class_mean`: mean over classes.\n";
  std::set<std::int64_t> epochs;
  std::set<std::string> metrics;
  for (const TableRow& row : table.rows) {
    epochs.insert(row.epoch);
    metrics.insert(row.metric);
  }
  for (const std::int64_t epoch : epochs) {
    text += str("\n## After ", counted(epoch, "epoch"), "\n\n| variant | seeds |");
    for (const std::string& metric : metrics) text += " " + metric + " |";
    text += "\n| --- | --- |";
    for (std::size_t i = 0; i < metrics.size(); ++i) text += " --- |";
    text += "\n";
    for (const std::string& variant : table.variants) {
      std::string line;
      int seeds = 0;
      for (const std::string& metric : metrics) {
        const auto row = std::find_if(table.rows.begin(), table.rows.end(), [&](const TableRow& r) {
          return r.epoch == epoch && r.variant == variant && r.metric == metric;
        });
        line += row == table.rows.end() ? " |" : " " + cell_text(*row) + " |";
        if (row != table.rows.end()) seeds = std::max(seeds, row->score.count);
      }
      if (seeds > 0) text += str("| ", variant, " | ", seeds, " |", line, "\n");
    }
  }
  text += "\n## Time\n\n| variant | training, hours per seed |\n| --- | --- |\n";
  for (const std::string& variant : table.variants)
    text +=
        str("| ", variant, " | ", fixed(table.train_seconds.at(variant).mean / 3600, 2), " |\n");
  return text;
}

}  // namespace sgmae
