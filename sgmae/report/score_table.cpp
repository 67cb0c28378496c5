#include "sgmae/report/score_table.h"

#include <algorithm>
#include <cmath>

#include "sgmae/base/error.h"
#include "sgmae/report/markup.h"

namespace sgmae {
namespace {

std::string points(double share) {
  const std::string size = fixed(std::abs(100 * share), 2);
  return size == "0.00" ? size : (share < 0 ? "−" : "+") + size;
}

bool has_interval(const ScoreDifference& difference) {
  return std::isfinite(difference.low) && std::isfinite(difference.high);
}

// Whether the interval leaves out 0.
bool is_clear(const ScoreDifference& difference) {
  return has_interval(difference) && (difference.low > 0 || difference.high < 0);
}

// The highest of a column, where there is something to compare it with; otherwise NaN.
double best_of(const ScoreGroup& group, std::size_t column) {
  double best = -INFINITY, worst = INFINITY;
  for (const ScoreRow& row : group.rows) {
    const double value = row.scores[column].value;
    if (std::isnan(value)) continue;
    best = std::max(best, value);
    worst = std::min(worst, value);
  }
  return best > worst ? best : NAN;
}

std::string cell(const Score& score, bool is_best) {
  if (std::isnan(score.value)) return element("td", {{"class", "n"}}, readable(NAN));
  std::string text = fixed(100 * score.value, 2);
  if (std::isfinite(score.deviation)) text += " ± " + fixed(100 * score.deviation, 2);
  std::string inner = escape(text);
  if (score.difference) {
    const ScoreDifference& d = *score.difference;
    std::string difference = points(d.mean);
    if (has_interval(d)) difference += " (" + points(d.low) + " … " + points(d.high) + ")";
    inner += text_element("div", difference,
                          {{"class", is_clear(d) ? "difference clear" : "difference"}});
  }
  return element("td", {{"class", is_best ? "n best" : "n"}}, inner);
}

std::string explanation(const ScoreTable& table) {
  bool any_best = false, any_difference = false, any_interval = false;
  for (const ScoreGroup& group : table.groups)
    for (std::size_t c = 0; c < table.measures.size(); ++c) {
      any_best |= !std::isnan(best_of(group, c));
      for (const ScoreRow& row : group.rows)
        if (const auto& difference = row.scores[c].difference) {
          any_difference = true;
          any_interval |= has_interval(*difference);
        }
    }
  std::string text;
  if (any_best) text = "Highlighted: the best of its column. ";
  if (any_difference)
    text += "Below a value: its difference to " + table.reference + ", in points" +
            (any_interval ? " and with its 95 % interval over seeds, bold where that leaves out 0."
                          : "; one run each, so there is no telling what another seed would give.");
  return text.empty() ? "" : text_element("p", text, {{"class", "quiet"}});
}

}  // namespace

std::string score_table_html(const ScoreTable& table) {
  std::string head = text_element("th", table.of, {{"scope", "col"}}), body;
  for (const std::string& measure : table.measures)
    head += text_element("th", measure + ", %", {{"scope", "col"}, {"class", "n"}});
  for (const std::string& more : table.more) head += text_element("th", more, {{"scope", "col"}});
  const std::string width = std::to_string(1 + table.measures.size() + table.more.size());
  bool any = false;
  for (const ScoreGroup& group : table.groups) {
    std::string rows;
    if (!group.title.empty())
      rows += element("tr", {},
                      text_element("th", group.title, {{"scope", "rowgroup"}, {"colspan", width}}));
    for (const ScoreRow& row : group.rows) {
      std::string cells = text_element("th", row.name, {{"scope", "row"}});
      for (std::size_t c = 0; c < table.measures.size(); ++c)
        cells += cell(row.scores[c], row.scores[c].value == best_of(group, c));
      for (const std::string& more : row.more) cells += element("td", {}, more);
      rows += element("tr", {}, cells);
      any = true;
    }
    body += element("tbody", {}, rows);
  }
  if (!any) return "";
  return element("div", {{"class", "scroll"}, {"tabindex", "0"}},
                 element("table", {{"class", "scores"}},
                         element("thead", {}, element("tr", {}, head)) + body)) +
         explanation(table);
}

}  // namespace sgmae
