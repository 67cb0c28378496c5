// Oracle: the results written here.
#include "sgmae/report/confusion.h"

#include <gtest/gtest.h>

namespace sgmae {
namespace {

Table table_of(const char* result, std::size_t most_classes) {
  return confusion_of(nlohmann::ordered_json::parse(result), most_classes).table;
}

TEST(Confusion, RowsAreTheTruthAndColumnsWhatWasFound) {
  const Table table = table_of(R"({"per_class": {"cat": {}, "dog": {}},
      "confusion": [[0, 0, 5], [0, 1, 2], [1, 2, 3], [2, 0, 7]]})",
                               2);
  EXPECT_EQ(table.head, (std::vector<std::string>{"is", "found: cat", "found: dog", "missed"}));
  ASSERT_EQ(table.rows.size(), 3u);
  EXPECT_EQ(table.rows[0], (std::vector<std::string>{"cat", "5", "2", ""}));
  EXPECT_EQ(table.rows[1], (std::vector<std::string>{"dog", "", "", "3"}));
  EXPECT_EQ(table.rows[2], (std::vector<std::string>{"background", "7", "", ""}));
}

TEST(Confusion, OfManyClassesTheMistakesStandInOrder) {
  const Table table = table_of(R"({"per_class": {"cat": {}, "dog": {}},
      "confusion": [[0, 0, 50], [0, 1, 2], [1, 2, 3], [2, 0, 7]]})",
                               1);
  ASSERT_EQ(table.rows.size(), 3u);
  EXPECT_EQ(table.rows[0], (std::vector<std::string>{"background", "cat", "7"}));
  EXPECT_EQ(table.rows[1], (std::vector<std::string>{"dog", "missed", "3"}));
  EXPECT_EQ(table.rows[2], (std::vector<std::string>{"cat", "dog", "2"}));
}

TEST(Confusion, DamagedEntriesAreLeftOut) {
  const Table table = table_of(R"({"per_class": {"cat": {}},
      "confusion": [[0, 2, 5], [-1, 0, 1], [0, 0], 3, [0, 0, "x"], [0, 0, 1.5], [1, 0, 4],
                    [18446744073709551615, 0, 1]]})",
                               20);
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[0], (std::vector<std::string>{"cat", "", ""}));
  EXPECT_EQ(table.rows[1], (std::vector<std::string>{"background", "4", ""}));
  for (const char* none : {R"({"confusion": [[0, 0, 3]]})", R"({"per_class": {"a": 1}})", "[]",
                           R"({"per_class": 3, "confusion": {"a": 1}})"})
    EXPECT_TRUE(table_of(none, 20).rows.empty()) << none;
}

// Of two classes of pixels, one is twice as frequent.
TEST(Confusion, OfPixelsTheShareOfTheRowIsTold) {
  const Confusion confusion = confusion_of(
      nlohmann::ordered_json::parse(R"({"miou": 0.5, "per_class": {"sky": {}, "sea": {}},
      "confusion": [[0, 0, 300], [0, 1, 100], [1, 1, 200]]})"),
      20);
  EXPECT_EQ(confusion.table.head, (std::vector<std::string>{"is", "seen as: sky", "seen as: sea"}));
  ASSERT_EQ(confusion.table.rows.size(), 2u);
  EXPECT_EQ(confusion.table.rows[0], (std::vector<std::string>{"sky", "75.0", "25.0"}));
  EXPECT_EQ(confusion.table.rows[1], (std::vector<std::string>{"sea", "", "100.0"}));
  EXPECT_EQ(confusion.meaning.rfind("Pixels", 0), 0u);
}

}  // namespace
}  // namespace sgmae
