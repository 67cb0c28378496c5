// Oracles: pycocotools 2.0.11 on sets drawn at random and made for one thing each, all its arrays
// (tests/golden/coco_eval.py); numbers worked out by hand.
#include "sgmae/eval/coco_eval.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "sgmae/eval/coco_eval_files.h"
#include "tests/eval/coco_golden.h"

namespace sgmae {
namespace {

using nlohmann::json;

// pycocotools sums in another order; nothing else may differ.
constexpr double tolerance = 1e-12;

void expect_array(const std::vector<double>& ours, const json& runs, const std::string& what) {
  std::size_t at = 0, different = 0;
  for (const json& run : runs)
    for (std::size_t i = 0; i < run.at(1).get<std::size_t>(); ++i, ++at)
      different +=
          at >= ours.size() || !(std::abs(ours[at] - run.at(0).get<double>()) <= tolerance);
  EXPECT_EQ(at, ours.size()) << what;
  EXPECT_EQ(different, 0u) << what;
}

TEST(CocoEval, EqualsPycocotools) {
  const json golden = coco_golden();
  ASSERT_GT(golden.at("cases").size(), 25u);
  for (const json& entry : golden.at("cases")) {
    const auto name = entry.at("name").get<std::string>();
    const CocoScores scores =
        evaluated(entry.at("truth"), entry.at("results"),
                  {entry.at("type") == "segm", entry.at("class_agnostic").get<bool>(), 1});
    const auto stats = scores.stats();
    if (!entry.contains("stats")) {  // pycocotools takes no empty results
      for (const double number : stats) EXPECT_EQ(number, -1) << name;
      continue;
    }
    for (std::size_t i = 0; i < stats.size(); ++i)
      EXPECT_NEAR(stats[i], entry.at("stats")[i].get<double>(), tolerance) << name << " " << i;
    expect_array(scores.precision, entry.at("precision"), name + ", precision");
    expect_array(scores.recall, entry.at("recall"), name + ", recall");
    expect_array(scores.scores, entry.at("scores"), name + ", scores");
  }
}

TrueObject object(double x, double side, bool crowd = false) {
  return {0, {x, 0, side, side}, side * side, crowd, {}};
}
DetectedObject detection(double score, double x, double width, double height) {
  return {0, score, {x, 0, width, height}, width * height, {}};
}

TEST(CocoEval, OfOneRightAndOneWrong) {
  const std::vector<TrueObject> truth{object(0, 50), object(100, 50)};
  Matches matches;
  match_boxes(0, truth, std::vector{detection(.9, 0, 50, 50), detection(.8, 300, 50, 50)}, matches);
  const CocoScores scores = accumulate(matches, 1);
  // Recall one half at precision 1: 51 of 101 recalls.
  EXPECT_NEAR(scores.stats()[0], 51. / 101, tolerance);
  EXPECT_NEAR(scores.average_precision(0), 51. / 101, tolerance);
  EXPECT_NEAR(scores.average_precision(0, 9), 51. / 101, tolerance);
  EXPECT_NEAR(scores.stats()[8], .5, tolerance);
  EXPECT_EQ(scores.stats()[3], -1);  // nothing is small
  EXPECT_EQ(lines_of(scores.stats())[0],
            "Average Precision (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.505");
  EXPECT_EQ(lines_of(scores.stats())[11],
            "Average Recall    (AR) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = -1.000");
  EXPECT_NEAR(to_json(scores).at("stats")[0].get<double>(), 51. / 101, tolerance);
}

// The first is true at 0.5, the second from 0.65 on.
TEST(CocoEval, OfTwoOnOneObjectTheFirstThatReachesTheLevelIsRight) {
  const std::vector<TrueObject> truth{object(0, 100)};
  Matches matches;
  match_boxes(0, truth, std::vector{detection(.5, 0, 60, 100), detection(.5, 0, 90, 100)}, matches);
  EXPECT_EQ(matches.detections.at(0).matched[0], 0b111);
  EXPECT_EQ(matches.detections.at(1).matched[0], 0b111111000);
}

TEST(CocoEval, ACrowdTakesInAnyNumber) {
  const std::vector<TrueObject> truth{object(0, 100, true), object(200, 40)};
  std::vector<DetectedObject> detected(7, detection(.9, 10, 20, 20));
  detected.push_back(detection(.1, 200, 40, 40));
  Matches matches;
  match_boxes(0, truth, detected, matches);
  EXPECT_NEAR(accumulate(matches, 1).stats()[0], 1, tolerance);
}

TEST(CocoEval, MasksOfOtherSizesDoNotOverlap) {
  TrueObject truth{0, {}, 4, false, Runs{{2, 2}, {0, 4}}};
  DetectedObject found{0, 1, {}, 4, Runs{{4, 1}, {0, 4}}};
  Matches matches;
  match_masks(0, {&truth, 1}, {&found, 1}, matches);
  EXPECT_EQ(matches.detections.at(0).matched[0], 0);
  found.mask = truth.mask;
  match_masks(1, {&truth, 1}, {&found, 1}, matches);
  EXPECT_EQ(matches.detections.at(1).matched[0], 0b1111111111);
}

// What several processes matched, put together in any order, is what one would have.
TEST(CocoEval, PartsAddUp) {
  const json golden = coco_golden();
  for (const json& entry : golden.at("cases")) {
    if (entry.at("class_agnostic").get<bool>() || entry.at("type") == "segm") continue;
    std::map<std::int64_t, std::int64_t> category;
    for (const json& one : entry.at("truth").at("categories")) category[one.at("id")] = 0;
    std::int64_t next = 0;
    for (auto& [id, rank] : category) rank = next++;
    std::map<std::int64_t, std::pair<std::vector<TrueObject>, std::vector<DetectedObject>>> images;
    const auto box = [](const json& b) { return CocoBox{b[0], b[1], b[2], b[3]}; };
    for (const json& one : entry.at("truth").at("annotations"))
      images[one.at("image_id")].first.push_back({category.at(one.at("category_id")),
                                                  box(one.at("bbox")),
                                                  one.at("area"),
                                                  one.at("iscrowd") == 1,
                                                  {}});
    for (const json& one : entry.at("results"))
      if (category.contains(one.at("category_id")) && one.contains("bbox"))
        images[one.at("image_id")].second.push_back(
            {category.at(one.at("category_id")),
             one.at("score"),
             box(one.at("bbox")),
             box(one.at("bbox")).width * box(one.at("bbox")).height,
             {}});
    Matches whole, odd, parts;
    for (const auto& [id, both] : images) match_boxes(id, both.first, both.second, whole);
    for (auto each = images.rbegin(); each != images.rend(); ++each)
      match_boxes(each->first, each->second.first, each->second.second,
                  each->first % 2 == 0 ? parts : odd);
    parts.add(odd);
    const CocoScores one = accumulate(whole, category.size()),
                     other = accumulate(parts, category.size());
    EXPECT_EQ(one.precision, other.precision);
    EXPECT_EQ(one.recall, other.recall);
    EXPECT_EQ(one.scores, other.scores);
    const bool has_boxes = entry.contains("stats") && entry.at("results")[0].contains("bbox");
    if (!has_boxes) continue;
    EXPECT_NEAR(one.stats()[0], entry.at("stats")[0].get<double>(), tolerance);
  }
}

TEST(CocoEval, OfNothingIsMinusOne) {
  for (const double number : accumulate({}, 3).stats()) EXPECT_EQ(number, -1);
  for (const double number : accumulate({}, 0).stats()) EXPECT_EQ(number, -1);
}

}  // namespace
}  // namespace sgmae
