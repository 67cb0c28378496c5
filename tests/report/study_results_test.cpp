// Oracle: the table.json written here.
#include "sgmae/report/study_results.h"

#include "tests/report/folder.h"
#include "tests/report/well_formed.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

using StudyResults = RunFolderTest;

TEST_F(StudyResults, AreToldInWordsWithIntervals) {
  for (const char* cell : {"guided-s10", "guided-s2", "mae-s2", "late-s0"})
    make_run(str("study/cells/", cell));
  fs::create_directories(root_ / "study/cells/empty-s0");
  write("study/table.json", R"({"reference": "mae", "rows": [
      {"epoch": 2, "variant": "mae", "metric": "knn_mean", "count": 2, "mean": 0.25, "deviation": 0.01, "difference": null},
      {"epoch": 4, "variant": "mae", "metric": "knn_mean", "count": 2, "mean": 0.5, "deviation": 0.01, "difference": null},
      {"epoch": 4, "variant": "guided", "metric": "knn_mean", "count": 2, "mean": 0.6, "deviation": 0.02,
       "difference": {"count": 2, "mean": 0.1, "low": 0.05, "high": 0.15}},
      {"epoch": 4, "variant": "guided", "metric": "own", "count": 1, "mean": 0.3, "deviation": null}, 3, {"epoch": 4}],
      "train_seconds": {"mae": 7200}})");
  std::vector<RunRecord> runs;
  const StudyRecord study = read_study(root_ / "study/", runs);
  EXPECT_EQ(study.name, "study");
  // The reference first, the lowest seed of each, those without results last.
  EXPECT_EQ(study.runs, (std::vector<std::string>{"mae-s2", "guided-s2", "late-s0"}));
  ASSERT_EQ(runs.size(), 3u);
  EXPECT_EQ(study.notes.size(), 1u);  // empty-s0
  const std::string html = study_results(study);
  expect_well_formed(html);
  for (const char* text :
       {">k-NN, k = 20, mean patch token, %</th>", ">own, %</th>", ">after epoch 2</th>",
        "<td class=\"n best\">60.00 ± 2.00<div class=\"difference clear\">+10.00 (+5.00 … "
        "+15.00)</div></td>",
        "<td>2</td><td>2.00</td>", "difference to mae", ">epochs finished</text>",
        "mae-s2, guided-s2, late-s0"})
    EXPECT_TRUE(contains(html, text)) << text;
}

TEST_F(StudyResults, BeforeTheFirstTestThereAreTheRuns) {
  make_run("study/cells/mae-s0");
  std::vector<RunRecord> runs;
  EXPECT_TRUE(contains(study_results(read_study(root_ / "study", runs)), "nothing was tested yet"));
  write("study/table.json", "[3");
  EXPECT_TRUE(contains(study_results(read_study(root_ / "study", runs)), "table.json is left out"));
}

TEST_F(StudyResults, OtherFoldersAreNoStudies) {
  make_run("run");
  EXPECT_FALSE(is_study(root_ / "run"));
  fs::create_directories(root_ / "run/cells");
  EXPECT_FALSE(is_study(root_ / "run"));
  EXPECT_FALSE(is_study(root_ / "nowhere"));
  fs::create_directories(root_ / "study/cells");
  EXPECT_TRUE(is_study(root_ / "study"));
  std::vector<RunRecord> runs;
  EXPECT_THROW(read_study(root_ / "study", runs), Error);
}

}  // namespace
}  // namespace sgmae
