// Oracle: the results written here.
#include "sgmae/report/evaluations.h"

#include <gtest/gtest.h>

#include "tests/report/well_formed.h"

namespace sgmae {
namespace {

using nlohmann::ordered_json;

RunResult result_of(const std::string& file, const std::string& content,
                    const std::string& kind = "") {
  return {.file = file, .content = ordered_json::parse(content), .kind = kind};
}

const char* const kKnn =
    R"({"epoch": 4, "knn_acc1": 0.805, "knn_class_mean": 0.7, "test_images": 100,
        "table": [{"features": "mean", "k": 5, "acc1": 0.5}, {"features": "mean", "k": 20, "acc1": 0.805}],
        "test": {"acc1": 0.805, "acc5": 0.9, "images": 100, "per_class": {"<cat>": {"images": 3, "acc1": 1.0}}}})";
const char* const kProbe =
    R"({"acc1": 0.75, "acc5": 0.8, "class_mean": 0.6, "features": "cls", "protocol": "augmented, LARS", "checkpoint_epoch": 4})";

std::vector<RunRecord> one_run(std::vector<RunResult> results) {
  std::vector<RunRecord> runs(1);
  runs[0].name = "a";
  runs[0].folder = "/runs/a";
  runs[0].results = std::move(results);
  return runs;
}

TEST(Evaluations, AreCalledByWhatTheyMeasure) {
  EXPECT_EQ(evaluation_name(result_of("knn/result.json", kKnn)),
            "k-NN, k = 20, mean of the patch tokens");
  EXPECT_EQ(evaluation_name(result_of("", kProbe)), "Linear probe, class token");
  EXPECT_EQ(evaluation_name(result_of("", R"({"acc1": 1, "best_acc1": 1})")), "Fine-tuning");
  EXPECT_EQ(evaluation_name(result_of("", R"({"acc1": 1})", "finetune")), "Fine-tuning");
  EXPECT_EQ(evaluation_name(result_of("", R"({"miou": 1})")), "Segmentation");
  EXPECT_EQ(evaluation_name(result_of("", R"({"box_ap": null})")), "Detection");
}

TEST(Evaluations, OfOneRunStandInOneTable) {
  auto runs = one_run({result_of("knn/result.json", kKnn), result_of("probe/result.json", kProbe)});
  runs[0].results[1].report = "/runs/a/probe/report.html";
  const std::string html = results(runs, "/runs");
  expect_well_formed(html);
  EXPECT_TRUE(contains(html,
                       "k-NN, k = 20, mean of the patch tokens</th><td class=\"n\">80.50</td>"
                       "<td class=\"n\">90.00</td><td class=\"n\">70.00</td>"
                       "<td>4</td><td>100</td><td></td>"))
      << html;
  EXPECT_TRUE(contains(html, "<a href=\"a/probe/report.html\">its report</a>"));
  EXPECT_FALSE(contains(results(runs, ""), "<a "));
  EXPECT_FALSE(contains(html, "best"));  // a probe and neighbours are no rivals
  // sqrt(0.805 * 0.195 / 100) * 1.96
  EXPECT_TRUE(contains(html, "7.8 points higher or lower"));
  EXPECT_TRUE(contains(html, "Classes (1 rows)"));
  EXPECT_TRUE(contains(html, "&lt;cat&gt;</th><td class=\"n\">3</td><td class=\"n\">100.00 %"));
  EXPECT_TRUE(contains(html, "Other features and k (2 rows)"));
}

TEST(Evaluations, OfSeveralRunsAreComparedWithTheFirst) {
  auto runs = one_run({result_of("knn/result.json", kKnn), result_of("probe/result.json", kProbe)});
  runs.push_back(runs[0]);
  runs[1].name = "b";
  runs[1].results[0].content["knn_acc1"] = 0.9;
  runs[1].results[0].content["table"][1]["acc1"] = 0.9;
  runs[1].results.pop_back();
  const std::string html = results(runs, "");
  expect_well_formed(html);
  EXPECT_TRUE(
      contains(html, "<td class=\"n best\">90.00<div class=\"difference\">+9.50</div></td>"));
  EXPECT_TRUE(contains(html, "difference to a, in points"));
  EXPECT_EQ(count_of(html, ">Linear probe, class token</th>"), 1u);
}

TEST(Evaluations, WhatGoesOnIsToldAsSuch) {
  RunResult going = result_of("probe/log.txt", R"({"acc1": 0.25})", "linprobe");
  going.progress = "after epoch 3 of 90";
  RunResult begun = result_of("finetune/log.txt", "{}", "finetune");
  begun.progress = "no epoch finished";
  const std::string html = results(one_run({going, begun}), "");
  EXPECT_TRUE(contains(html, "Linear probe</th><td class=\"n\">25.00</td>"));
  EXPECT_TRUE(contains(html, "goes on, after epoch 3 of 90"));
  EXPECT_TRUE(contains(html, "Fine-tuning</th><td class=\"n\">–</td>"));
}

TEST(Evaluations, TwoOfTheSameKindAreToldApartByTheirFolders) {
  const std::string html = results(
      one_run({result_of("p1/result.json", kProbe), result_of("p2/result.json", kProbe)}), "");
  EXPECT_TRUE(contains(html, "Linear probe, class token (p1)"));
  EXPECT_TRUE(contains(html, "Linear probe, class token (p2)"));
}

TEST(Evaluations, OfDifferentTasksHaveATableEach) {
  const std::string html =
      results(one_run({result_of("d/result.json", R"({"box_ap": 0.25, "mask_ap": null})"),
                       result_of("s/result.json", R"({"miou": 0.5, "accuracy": 0.75})")}),
              "");
  expect_well_formed(html);
  EXPECT_TRUE(contains(html, "<h3>Objects</h3>"));
  EXPECT_TRUE(contains(html, ">box AP, %</th>"));
  EXPECT_FALSE(contains(html, "mask AP"));
  EXPECT_TRUE(contains(html, "<h3>Classes of pixels</h3>"));
  EXPECT_TRUE(contains(html, "<td class=\"n\">75.00</td>"));
  EXPECT_EQ(results(one_run({}), ""), "");
}

}  // namespace
}  // namespace sgmae
