// Oracle: the results written here.
#include "sgmae/report/confusion.h"

#include <gtest/gtest.h>

#include "sgmae/base/error.h"
#include "tests/report/well_formed.h"

namespace sgmae {
namespace {

using nlohmann::ordered_json;

Confusion confusion_of(const std::string& result) {
  const auto confusion = read_confusion(ordered_json::parse(result));
  EXPECT_TRUE(confusion.has_value()) << result;
  return confusion.value_or(Confusion{});
}

// Two cats of ten are taken for dogs; all by the classifier's own place in result.json.
const char* const kImages =
    R"({"acc1": 0.8, "test": {"acc1": 0.8, "per_class": {"cat": {}, "dog": {}},
    "confusion": [[0, 0, 8], [0, 1, 2], [1, 1, 5]]}})";
const char* const kObjects = R"({"box_ap": 0.5, "per_class": {"cat": {}, "dog": {}},
    "confusion": [[0, 0, 50], [0, 1, 2], [1, 2, 3], [2, 0, 7]]})";

TEST(Confusion, MistakesStandInOrderWithTheirShareOfTheClass) {
  const Table table = mistakes(confusion_of(kObjects), 40);
  ASSERT_EQ(table.rows.size(), 3u);
  EXPECT_EQ(table.rows[0], (std::vector<std::string>{"background", "cat", "7", ""}));
  EXPECT_EQ(table.rows[1], (std::vector<std::string>{"dog", "missed", "3", "100 %"}));
  EXPECT_EQ(table.rows[2], (std::vector<std::string>{"cat", "dog", "2", "3.8 %"}));  // of 52
  EXPECT_EQ(mistakes(confusion_of(kObjects), 1).rows.size(), 1u);
}

TEST(Confusion, TheMatrixHasAxesNamesAndTips) {
  const std::string svg = confusion_svg(confusion_of(kImages));
  expect_well_formed(svg);
  for (const char* text : {">true class<", ">predicted class<", "% of the images of the true class",
                           "cat, taken for dog: 2 of 10 images (20 %)", "dog, rightly so: 5 of 5",
                           ">80<", ">20<", ">100<"})
    EXPECT_TRUE(contains(svg, text)) << text;
  EXPECT_EQ(count_of(svg, ">cat</text>"), 2u);  // down and across
  EXPECT_FALSE(contains(svg, "missed"));
}

TEST(Confusion, ObjectsHaveARowOfBackgroundAndAColumnOfMissedOnes) {
  const std::string svg = confusion_svg(confusion_of(kObjects));
  expect_well_formed(svg);
  for (const char* text : {">background</text>", ">missed</text>", "background, taken for cat: 7",
                           "dog, missed: 3 of 3 objects (100 %)", ">50</text>"})
    EXPECT_TRUE(contains(svg, text)) << text;
}

// Darker is more, by the square root of the share: 0.2 is 0.45.
TEST(Confusion, ColoursFollowTheShareOfTheRow) {
  const std::string svg = confusion_svg(confusion_of(kImages));
  const std::size_t tip = svg.find("cat, taken for dog");
  const std::size_t box = svg.rfind("<rect", tip);
  EXPECT_TRUE(contains(svg.substr(box, tip - box), "fill-opacity=\"0.45\""))
      << svg.substr(box, 200);
}

// 1000 classes, half of all places filled: the page stays usable, and nothing overlaps.
TEST(Confusion, ManyClassesStayUsable) {
  ordered_json result{{"acc1", 0.1}};
  for (int i = 0; i < 1000; ++i) {
    result["per_class"][str("class ", i)] = ordered_json::object();
    for (int j = 0; j < 1000; j += 2) result["confusion"].push_back({i, j, i == j ? 99 : 1});
  }
  const auto confusion = read_confusion(result);
  ASSERT_TRUE(confusion.has_value());
  const std::string card = confusion_card(*confusion);
  expect_well_formed(card);
  EXPECT_LT(card.size(), 1000000u);
  EXPECT_TRUE(contains(card, "class 0, rightly so: 99 of 598"));  // the greatest shares are drawn
  EXPECT_LE(count_of(card, "class=\"label\">class "), 170u);  // one in 12 pixels, down and across
  EXPECT_TRUE(contains(card, "Mistakes (the 40 most frequent)"));
}

TEST(Confusion, TheCardSaysTheWorstInWords) {
  const std::string card = confusion_card(confusion_of(kImages));
  expect_well_formed(card);
  EXPECT_TRUE(contains(card, "<li>cat, taken for dog: 2 of 10 images (20 %)</li>"));
  EXPECT_TRUE(contains(card, "Of the test images of each true class"));
  EXPECT_TRUE(contains(confusion_card(confusion_of(kObjects)), "Detections with a score"));
  EXPECT_EQ(
      confusion_of(R"({"miou": 0.5, "per_class": {"sky": {}}, "confusion": [[0, 0, 3]]})").counted,
      Confusion::Counted::pixels);
}

TEST(Confusion, DamagedEntriesAreLeftOut) {
  const Confusion confusion = confusion_of(R"({"box_ap": 1, "per_class": {"cat": {}},
      "confusion": [[0, 2, 5], [-1, 0, 1], [0, 0], 3, [0, 0, "x"], [0, 0, 1.5], [1, 0, 4],
                    [18446744073709551615, 0, 1], [0, 1, 9223372036854775807]]})");
  ASSERT_EQ(confusion.cells.size(), 1u);
  EXPECT_EQ(confusion.cells[0].count, 4);
  for (const char* none : {R"({"confusion": [[0, 0, 3]]})", R"({"per_class": {"a": 1}})", "[]", "3",
                           R"({"per_class": 3, "confusion": {"a": 1}})", R"({"test": 3})",
                           R"({"acc1": 1, "per_class": {"a": 1}, "confusion": [[0, 1, 3]]})"})
    EXPECT_FALSE(read_confusion(ordered_json::parse(none))) << none;
}

}  // namespace
}  // namespace sgmae
