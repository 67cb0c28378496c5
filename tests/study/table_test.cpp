// Oracle: means and differences worked out by hand.
#include "sgmae/study/table.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sgmae {
namespace {

StudyTable example() {
  std::vector<CellResult> cells;
  for (const auto& [variant, seed, score] : {std::tuple{"mae", 0, 0.50},
                                             {"mae", 1, 0.52},
                                             {"guided", 0, 0.51},
                                             {"guided", 1, 0.55},
                                             {"guided", 2, 0.90}})
    cells.push_back({variant, static_cast<std::uint64_t>(seed), 4, {{"probe", score}}, 7200});
  cells.push_back({"mae", 0, 8, {{"probe", 0.6}, {"knn", 0.4}}, 7200});
  return make_table(cells, {"mae", "guided", "not_begun"}, "mae");
}

TEST(StudyTable, PairsBySeed) {
  const StudyTable table = example();
  ASSERT_EQ(table.rows.size(), 4u);
  const TableRow &mae = table.rows[0], &guided = table.rows[1];
  EXPECT_EQ(mae.variant, "mae");
  EXPECT_NEAR(mae.score.mean, 0.51, 1e-12);
  EXPECT_EQ(mae.difference.count, 0);
  EXPECT_EQ(guided.score.count, 3);
  EXPECT_NEAR(guided.score.mean, (0.51 + 0.55 + 0.90) / 3, 1e-12);
  // Seed 2 has no partner: (0.01 + 0.03) / 2, deviation 0.01 * sqrt(2), t(1) = 12.706.
  EXPECT_EQ(guided.difference.count, 2);
  EXPECT_NEAR(guided.difference.mean, 0.02, 1e-12);
  EXPECT_NEAR(guided.difference.high, 0.02 + 12.7062047 * 0.01, 1e-8);
  EXPECT_EQ(table.rows[3].epoch, 8);
  EXPECT_EQ(table.variants, (std::vector<std::string>{"mae", "guided"}));
}

TEST(StudyTable, JsonHasNullsForWhatIsNotKnown) {
  const auto json = to_json(example());
  EXPECT_TRUE(json["rows"][0]["difference"].is_null());
  EXPECT_TRUE(json["rows"][2]["deviation"].is_null());  // one seed
  EXPECT_NEAR(json["rows"][1]["difference"]["mean"].get<double>(), 0.02, 1e-12);
  EXPECT_EQ(json["train_seconds"]["guided"], 7200.0);
  EXPECT_EQ(json["cells"].size(), 6u);
}

TEST(StudyTable, MarkdownIsReadable) {
  const std::string text = to_markdown(example(), "A question");
  for (const char* part :
       {"# A question\n", "## After 4 epochs\n", "| variant | seeds | knn | probe |",
        "| mae | 2 | | 51.00 ± 1.41 |", "(+2.00, −10.71 … +14.71) |", "| mae | 1 | 40.00 | 60.00 |",
        "| guided | 2.00 |"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  EXPECT_EQ(text.find("not_begun"), std::string::npos);
}

}  // namespace
}  // namespace sgmae
