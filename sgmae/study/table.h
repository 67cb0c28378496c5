// The table of a study: every variant's scores over the seeds, and their differences from one
// variant, paired by seed.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgmae/study/statistics.h"

namespace sgmae {

// What one checkpoint came to.
struct CellResult {
  std::string variant;
  std::uint64_t seed = 0;
  std::int64_t epoch = 0;                 // epochs finished
  std::map<std::string, double> metrics;  // shares in 0 .. 1
  double train_seconds = 0;               // of the whole run
};

struct TableRow {
  std::int64_t epoch = 0;
  std::string variant, metric;
  Summary score;
  PairedDifference difference;  // to the reference, over the seeds that both have; count 0 for it
};

struct StudyTable {
  std::string reference;
  std::vector<TableRow> rows;                    // by epoch, then variant, then metric
  std::map<std::string, Summary> train_seconds;  // by variant
  std::vector<std::string> variants;             // in the study's order, those with results
  std::vector<CellResult> cells;
};

StudyTable make_table(const std::vector<CellResult>& cells,
                      const std::vector<std::string>& variants, const std::string& reference);

// {"reference", "rows": [{"epoch", "variant", "metric", "count", "mean", "deviation", "difference":
// {"count", "mean", "low", "high"}}], "train_seconds", "cells"}; null for what is not known.
nlohmann::ordered_json to_json(const StudyTable& table);

// Percent, as "55.5 ± 0.3 (+0.4, −0.2 … +1.0)": mean, deviation, and difference with its interval.
std::string to_markdown(const StudyTable& table, const std::string& title);

}  // namespace sgmae
