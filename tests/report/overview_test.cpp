// Oracle: the folders written here.
#include "sgmae/report/overview.h"

#include "tests/report/folder.h"
#include "tests/report/well_formed.h"

namespace sgmae {
namespace {

using Overview = RunFolderTest;

// env.json was written anew when the run was called again.
TEST_F(Overview, ARunStartedWhenItBegan) {
  make_run("run");
  write("run/run.json", R"({"kind": "pretrain"})");
  write("run/env.json", R"({"started": "2026-11-30T00:00:00Z"})");
  EXPECT_TRUE(contains(overview({read_run(root_ / "run")}), "<td>2026-11-30 00:00:00 UTC</td>"));
  write(
      "run/events.jsonl",
      R"({"time": "2026-11-28T13:01:02Z", "event": "began", "epoch": 0, "step": 0})"
      "\n"
      R"({"event": "evaluated", "epoch": 0, "step": 0, "measure": "k-NN accuracy", "value": 0.25})"
      "\n"
      R"({"event": "evaluated", "epoch": 1, "step": 0, "measure": "k-NN accuracy", "value": 0.5})"
      "\n"
      R"({"time": "2026-11-28T14:01:02Z", "event": "finished", "epoch": 4, "step": 0})"
      "\n");
  const std::string html = overview({read_run(root_ / "run")});
  expect_well_formed(html);
  EXPECT_TRUE(contains(html, "Started</th><td>2026-11-28 13:01:02 UTC</td>"));
  EXPECT_TRUE(contains(html, "Finished</th><td>2026-11-28 14:01:02 UTC</td>"));
  EXPECT_TRUE(contains(html, "Restarts</th><td>none</td>"));
  EXPECT_TRUE(contains(html, "k-NN accuracy before training</th><td>25.00 %</td>"));
}

TEST_F(Overview, TheLastTestAndTheBestSayTheirEpochs) {
  write("run/log.txt",
        "{\"epoch\":0,\"knn_acc1\":0.5,\"knn_acc1_pixels\":0.4}\n{\"epoch\":1,\"knn_acc1\":0.6}\n"
        "{\"epoch\":2,\"train_loss\":1}\n{\"epoch\":3,\"knn_acc1\":0.55}\n");
  const std::string html = overview({read_run(root_ / "run")});
  EXPECT_TRUE(contains(html, "55.00 % after epoch 4; at best 60.00 % after epoch 2")) << html;
  EXPECT_TRUE(contains(html, "k-NN accuracy of raw pixels</th><td>40.00 %</td>"));
}

TEST_F(Overview, OnlySeveralRunsAreNamed) {
  make_run("a");
  make_run("b");
  const RunRecord a = read_run(root_ / "a"), b = read_run(root_ / "b");
  EXPECT_FALSE(contains(overview({a}), "<thead>"));
  EXPECT_TRUE(contains(overview({a, b}), ">b</th>"));
}

}  // namespace
}  // namespace sgmae
