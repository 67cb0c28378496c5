// Scores side by side: the best of each column marked, and how far the others are from a reference.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace sgmae {

struct ScoreDifference {
  double mean = 0;
  // Ends of its 95 % interval over seeds; NaN where there are too few.
  double low = std::numeric_limits<double>::quiet_NaN(), high = low;
};

// Shares in 0 .. 1, shown in per cent.
struct Score {
  double value = std::numeric_limits<double>::quiet_NaN();      // NaN: not measured
  double deviation = std::numeric_limits<double>::quiet_NaN();  // over seeds; NaN: not known
  std::optional<ScoreDifference> difference = {};               // to the reference
};

struct ScoreRow {
  std::string name;
  std::vector<Score> scores;      // one per measure
  std::vector<std::string> more;  // markup of further cells
};

// Rows that may be compared with each other.
struct ScoreGroup {
  std::string title;  // "": none
  std::vector<ScoreRow> rows;
};

struct ScoreTable {
  std::string of;                     // what a row is, e.g. "run"
  std::vector<std::string> measures;  // in words
  std::vector<std::string> more;      // heads of further cells
  std::string reference;              // name of what differences are to
  std::vector<ScoreGroup> groups;
};

// The table, and a sentence that says what its marks mean. "" without rows.
std::string score_table_html(const ScoreTable& table);

}  // namespace sgmae
