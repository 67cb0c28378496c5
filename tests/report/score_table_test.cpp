// Oracle: the scores put into the tables.
#include "sgmae/report/score_table.h"

#include <gtest/gtest.h>

#include "tests/report/well_formed.h"

namespace sgmae {
namespace {

ScoreTable two_variants() {
  return {
      .of = "variant",
      .measures = {"top-1", "top-5"},
      .more = {"seeds"},
      .reference = "mae",
      .groups = {
          {"after epoch 4",
           {{"mae", {{.value = 0.5, .deviation = 0.01}, {.value = 0.8}}, {"2"}},
            {"guided",
             {{.value = 0.55, .deviation = 0.02, .difference = ScoreDifference{0.05, 0.01, 0.09}},
              {.value = 0.79, .difference = ScoreDifference{-0.01, -0.2, 0.18}}},
             {"2"}}}}}};
}

TEST(ScoreTable, MarksTheBestOfAColumnAndClearDifferences) {
  const std::string html = score_table_html(two_variants());
  expect_well_formed(html);
  EXPECT_TRUE(contains(html,
                       "<td class=\"n best\">55.00 ± 2.00"
                       "<div class=\"difference clear\">+5.00 (+1.00 … +9.00)</div></td>"))
      << html;
  EXPECT_TRUE(contains(html, "<td class=\"n best\">80.00</td>"));
  EXPECT_TRUE(contains(html, "<div class=\"difference\">−1.00 (−20.00 … +18.00)</div>"));
  EXPECT_TRUE(contains(html, ">top-1, %</th>"));
  EXPECT_TRUE(contains(html, "colspan=\"4\">after epoch 4</th>"));
  EXPECT_TRUE(contains(html, "difference to mae"));
  EXPECT_TRUE(contains(html, "95 % interval over seeds"));
}

TEST(ScoreTable, NoDifferenceHasNoSign) {
  ScoreTable table = two_variants();
  table.groups[0].rows[1].scores[0].difference = ScoreDifference{-1e-9, -0.01, 0.01};
  EXPECT_TRUE(contains(score_table_html(table), ">0.00 (−1.00 … +1.00)<"));
}

TEST(ScoreTable, WithoutSeedsItSaysSo) {
  ScoreTable table = two_variants();
  for (Score& score : table.groups[0].rows[1].scores) score.difference = ScoreDifference{0.05};
  const std::string html = score_table_html(table);
  EXPECT_TRUE(contains(html, "one run each"));
  EXPECT_FALSE(contains(html, "…"));
}

// Nothing to compare: one row, equal values, or values that are missing.
TEST(ScoreTable, AloneNothingIsBest) {
  ScoreTable table = two_variants();
  table.groups[0].rows.resize(1);
  EXPECT_FALSE(contains(score_table_html(table), "best"));
  table = two_variants();
  table.groups[0].rows[1].scores = table.groups[0].rows[0].scores;
  EXPECT_FALSE(contains(score_table_html(table), "best"));
  table.groups[0].rows[1].scores = {Score{}, Score{}};
  const std::string html = score_table_html(table);
  EXPECT_FALSE(contains(html, "best"));
  EXPECT_EQ(count_of(html, "<td class=\"n\">–</td>"), 2u);
  EXPECT_EQ(score_table_html({}), "");
}

}  // namespace
}  // namespace sgmae
