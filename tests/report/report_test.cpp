// Oracles: the run folders written here, and the judge of XML in well_formed.h.
#include "sgmae/report/report.h"

#include "tests/report/folder.h"
#include "tests/report/well_formed.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

using ReportPage = RunFolderTest;

std::string page_of(const std::vector<fs::path>& folders, const ReportOptions& options = {}) {
  std::vector<RunRecord> runs;
  for (const fs::path& folder : folders) runs.push_back(read_run(folder));
  const std::string html = make_report(std::move(runs), options).html;
  expect_well_formed(html);
  for (const char* part : {"src=\"http", "href=\"http", "<script", "<link", "@import", "url("})
    EXPECT_FALSE(contains(html, part)) << part;
  return html;
}

// Heading and cell of a table of one run.
void expect_row(const std::string& html, const std::string& heading, const std::string& cell) {
  EXPECT_TRUE(contains(html, ">" + heading + "</th><td>" + cell + "</td>"))
      << heading << ": " << cell;
}

TEST_F(ReportPage, TellsWhatTheFolderHolds) {
  make_run("run");
  picture("run/figures/masks_after_epoch_0000.png");
  const std::string html = page_of({root_ / "run"});
  expect_row(html, "Model", "mae_vit_tiny_patch4, 28×28 pixels");
  expect_row(html, "Masks", "self-guided, 0.75 of the patches hidden");
  expect_row(html, "Guidance", "began after epoch T = 2");
  expect_row(html, "Epochs", "4 of 4");
  expect_row(html, "Training loss", "0.25");
  // 60 images at 100, 200, 300 and 400 a second: 1.25 s; and 0.5 TFLOP/s over it.
  expect_row(html, "Time in training steps", "0:00:01 on 2 threads");
  expect_row(html, "Throughput", "192 images/s");
  expect_row(html, "Arithmetic", "0.625 TFLOP");
  expect_row(html, "Waiting for data", "25.00 %");
  expect_row(html, "Skipped steps", "1");
  expect_row(html, "Unreadable images", "1");
  expect_row(html, "Restarts", "1 continued, 1 rolled back");
  EXPECT_TRUE(contains(html, "a &lt;b&gt; &amp; &#39;c&#39;"));
  EXPECT_TRUE(contains(html, "masks after epoch 0 of 4</h3>"));
  EXPECT_TRUE(contains(html, "T = 2</text>"));
  EXPECT_TRUE(contains(html, "sgmae pretrain --model=mae_vit_tiny_patch4"));
  EXPECT_TRUE(contains(html, "skipped: loss nan"));
}

// The loss of every epoch stands in a table as the log has it, to six digits.
TEST_F(ReportPage, TablesEqualTheLog) {
  make_run("run");
  const std::string html = page_of({root_ / "run"});
  for (const auto& [epoch, loss] : std::vector<std::pair<std::string, std::string>>{
           {"1", "1"}, {"2", "0.5"}, {"3", "0.333333"}, {"4", "0.25"}})
    EXPECT_TRUE(contains(html, ">" + epoch + "</th><td class=\"n\">" + loss + "</td>")) << epoch;
}

TEST_F(ReportPage, EveryLinkLeadsToASection) {
  make_run("run");
  const std::string html = page_of({root_ / "run"});
  std::size_t links = 0;
  for (std::size_t at = html.find("href=\"#"); at != html.npos;
       at = html.find("href=\"#", at + 1)) {
    const std::string id = html.substr(at + 7, html.find('"', at + 7) - at - 7);
    EXPECT_TRUE(contains(html, "<section id=\"" + id + "\">")) << id;
    ++links;
  }
  EXPECT_GE(links, 5u);
}

TEST_F(ReportPage, RunsSideBySideShowWhatDiffers) {
  make_run("a");
  make_run("b");
  std::string config = read_text(root_ / "b/config.toml");
  config.replace(config.find("0.002"), 5, "0.004");
  write("b/config.toml", config);
  const std::string html = page_of({root_ / "a", root_ / "b"});
  EXPECT_EQ(count_of(html, "class=\"differs\""), 1u);
  EXPECT_TRUE(contains(html, "optim.blr</th><td>0.002</td><td>0.004</td>"));
  EXPECT_TRUE(contains(html, "options that are the same"));
}

TEST_F(ReportPage, SegmentationShowsIntersectionOverUnionAndWhatAPictureIs) {
  write("run/config.toml", "[model]\nauxiliary_weight = 0.4\n");
  write("run/log.txt", R"({"epoch":0,"test_miou":45.25,"test_accuracy":80,"train_accuracy":70})");
  write(
      "run/result.json",
      R"({"miou": 0.4525, "accuracy": 0.8, "per_class": {"sky": {"pixels": 4, "iou": 0.4525}, "sea": {"pixels": 1, "iou": null}},
            "confusion": [[0, 0, 3], [0, 1, 1]]})");
  picture("run/figures/best_01.png");
  const std::string html = page_of({root_ / "run"});
  expect_row(html, "Mean IoU", "45.25 % after epoch 1");
  EXPECT_TRUE(contains(html, ">sky</th><td class=\"n\">4</td><td class=\"n\">45.25 %"));
  EXPECT_TRUE(contains(html, "Mean IoU</h3>"));
  EXPECT_TRUE(contains(html, "Of the test pixels of each true class"));
  EXPECT_TRUE(contains(html, "The photo; what is there; what was predicted."));
}

TEST_F(ReportPage, DetectionShowsPrecisionConfusionAndTheBestAndWorstImages) {
  write("run/log.txt", R"({"epoch":0,"test_box_ap":25.5,"test_box_ap50":50})");
  write(
      "run/result.json",
      R"({"box_ap": 0.255, "mask_ap50": null, "best_box_ap": 0.26, "per_class": {"cat <b>": {"objects": 4, "box_ap": 0.255}},
            "precision": {"box": {"0.5": [1, 0.5, 0], "0.75": [1, 0, 0], "0.5:0.95": [1, 0.25, 0]}},
            "confusion": [[0, 0, 3], [0, 1, 1], [1, 0, 2]]})");
  for (const char* file : {"best_01", "best_02", "best_03", "worst_01", "worst_02", "worst_03"})
    picture(str("run/figures/", file, ".png"));
  const std::string html = page_of({root_ / "run"}, {.title = "", .figures = 2});
  expect_row(html, "Box AP", "25.50 % after epoch 1");
  EXPECT_TRUE(contains(html, "Classes (1 rows)"));
  EXPECT_TRUE(contains(html, ">cat &lt;b&gt;</th><td class=\"n\">4</td><td class=\"n\">25.50 %"));
  EXPECT_TRUE(contains(html, "Precision of boxes</h3>"));
  EXPECT_TRUE(contains(html, "<li>background, taken for cat &lt;b&gt;: 2</li>"));
  for (const char* shown : {"best 1<", "best 2<", "worst 1<", "worst 2<"})
    EXPECT_TRUE(contains(html, shown)) << shown;
  EXPECT_FALSE(contains(html, "best 3<"));
  EXPECT_EQ(count_of(html, "Left: what is there"), 4u);
}

TEST_F(ReportPage, MeasurementsAndTheirPicturesStandOnce) {
  make_run("run");
  picture("run/analysis/figures/clusters.png", 7);
  write("run/analysis/metrics.json",
        R"({"schema": 1, "images": 8, "models": [{"name": "m"}],
            "metrics": {"nmi": {"title": "NMI of attention", "series": [{"model": 0, "part": "encoder", "at": [0, 1], "values": [1, 2]}]}},
            "figures": [{"file": "figures/clusters.png", "title": "Clusters", "caption": "five", "paper": "Fig. 1"}]})");
  const std::string html = page_of({root_ / "run"});
  EXPECT_TRUE(contains(html, "NMI of attention, encoder</h3>"));
  EXPECT_TRUE(contains(html, "<strong>Figure 1</strong>"));
  EXPECT_TRUE(contains(html, "<figcaption>five</figcaption>"));
  EXPECT_EQ(count_of(html, "width=\"7\""), 1u);
}

// A matrix that the page draws itself, with names, is not shown once more without.
TEST_F(ReportPage, EvaluationsInTheFolderOfARunAreOnItsPage) {
  make_run("run");
  write("run/linprobe/config.toml", "[probe]\ncached_features = true\n");
  write("run/linprobe/result.json",
        R"({"acc1": 0.5, "features": "cls", "protocol": "cached features, L-BFGS",
            "test": {"acc1": 0.5, "per_class": {"cat": {}}, "confusion": [[0, 0, 3]]}})");
  picture("run/linprobe/figures/confusion.png");
  write("run/linprobe/report.html", "its page");
  write_report({root_ / "run"}, root_ / "page.html", {});
  const std::string html = read_text(root_ / "page.html");
  EXPECT_TRUE(contains(html, "href=\"run/linprobe/report.html\""));
  EXPECT_TRUE(contains(html, "Linear probe (exact, whole images)"));
  EXPECT_TRUE(contains(html, ">predicted class<"));
  EXPECT_FALSE(contains(html, "<img"));
}

TEST_F(ReportPage, ShowsTheNeighboursOfAKnnTest) {
  make_run("run");
  write("run/knn/result.json", R"({"knn_acc1": 0.25, "test_images": 4})");
  picture("run/knn/figures/neighbours.png");
  const std::string html = page_of({root_ / "run"});
  EXPECT_TRUE(contains(html, "neighbours</h3>"));
  EXPECT_TRUE(contains(html, "the training images nearest to it"));
  EXPECT_EQ(count_of(html, "<img"), 1u);
}

TEST_F(ReportPage, AnEvaluationInTheFolderOfARunIsPutOnItsPage) {
  make_run("run");
  write("run/knn/result.json", R"({"knn_acc1": 0.25, "test_images": 4})");
  report_on_run_around(root_ / "run/knn/");
  EXPECT_TRUE(contains(read_text(root_ / "run/report.html"), ">k-NN</th><td class=\"n\">25.00<"));
  // Nowhere else: around no run, an evaluation, or a folder with a config.toml of something else.
  write("probe/config.toml", "[probe]\ncached_features = true\n");
  write("other/config.toml", "[=");
  for (const char* inside : {"folder/knn", "probe/knn", "other/knn"}) {
    write(str(inside, "/result.json"), R"({"knn_acc1": 0.25})");
    report_on_run_around(root_ / inside);
    EXPECT_FALSE(fs::exists((root_ / inside).parent_path() / "report.html")) << inside;
  }
  report_on_run_around("");
}

TEST_F(ReportPage, AStudyShowsItsTableAndARunOfEachVariant) {
  for (const char* cell : {"mae-s0", "mae-s1", "guided-s0", "guided-s1"})
    make_run(str("study/cells/", cell));
  write("study/table.json", R"({"reference": "mae", "rows": [
      {"epoch": 4, "variant": "guided", "metric": "probe_cls", "count": 2, "mean": 0.6, "deviation": 0.01}]})");
  const auto written = write_report({root_ / "study"}, root_ / "page.html", {});
  ASSERT_EQ(written["runs"].size(), 2u);
  EXPECT_EQ(written["runs"][0]["name"], "mae-s0");
  const std::string html = read_text(root_ / "page.html");
  expect_well_formed(html);
  EXPECT_TRUE(contains(html, "<title>study</title>"));
  EXPECT_TRUE(contains(html, "60.00 ± 1.00"));
  EXPECT_TRUE(contains(html, ">guided-s0</th>"));
  EXPECT_FALSE(contains(html, "guided-s1"));
}

TEST_F(ReportPage, ShowsTheFirstAndTheLastOfManyPictures) {
  make_run("run");
  for (int epoch = 0; epoch < 12; ++epoch)
    picture(str("run/figures/masks_after_epoch_", epoch, ".png"));
  const std::string html = page_of({root_ / "run"}, {.title = "", .figures = 3});
  EXPECT_EQ(count_of(html, "<img"), 3u);
  for (const char* shown : {"epoch 0 of 4<", "epoch 5 of 4<", "epoch 11 of 4<"})
    EXPECT_TRUE(contains(html, shown)) << shown;
  EXPECT_TRUE(contains(html, "9 more in run/figures"));
}

TEST_F(ReportPage, HostileFoldersGiveAPageOfWhatIsThere) {
  const std::string attack = "</title><script>alert(1)</script>\" onload=\"x";
  write("run <i>&/log.txt",
        "{\"epoch\":0,\"train_loss\":null,\""
        "<img src=x onerror=y>\":1}\n"
        "{\"epoch\":1e300,\"train_loss\":1e308,\"img_per_s\":-5}\n{\"epoch\":2,\"tr");
  write("run <i>&/config.toml",
        "[model]\nmodel = \""
        "</style><b>\"\n[run]\nlist = [1, 2]\n");
  write("run <i>&/env.json", R"({"threads": {"a": "<b>"}, "host": null})");
  write("run <i>&/train.log", "warning: <script>\xFF\x01\nmodel: <b>\ndata: 99 images; x steps\n");
  write("run <i>&/result.json",
        R"({"<k>": "<v>", "deep": {"deep": {"deep": {"deep": {}}}}, "list": [[1], 2]})");
  write("run <i>&/metrics.json", "{\"schema\": 1, \"metrics\": []}");
  write("run <i>&/figures/x.png", "not a picture");
  const std::string html = page_of({root_ / "run <i>&"}, {.title = attack});
  EXPECT_FALSE(contains(html, "<script>"));
  EXPECT_TRUE(contains(html, "1 lines are left out"));
  EXPECT_TRUE(contains(html, "x.png is not shown"));
}

TEST_F(ReportPage, DeeplyNestedFilesAreLeftOut) {
  const std::string deep = std::string(300000, '[') + std::string(300000, ']');
  write("run/log.txt", "{\"epoch\":0,\"train_loss\":1}\n{\"deep\":" + deep + "}\n");
  for (const char* file : {"env.json", "result.json", "a/metrics.json"})
    write(str("run/", file), "{\"schema\":1,\"deep\":" + deep + "}");
  const std::string html = page_of({root_ / "run"});
  expect_row(html, "Training loss", "1");
  for (const char* note : {"log.txt: 1 lines are left out", "env.json is left out",
                           "result.json is left out", "metrics.json is left out"})
    EXPECT_TRUE(contains(html, note)) << note;
}

// The page of a run of a hundred thousand epochs stays small.
TEST_F(ReportPage, HugeLogsAreThinned) {
  std::string log;
  for (int i = 0; i < 100000; ++i) log += str("{\"epoch\":", i, ",\"train_loss\":", i % 997, "}\n");
  write("run/log.txt", log);
  const std::string html = page_of({root_ / "run"});
  EXPECT_LT(html.size(), 200000u);
  EXPECT_TRUE(contains(html, "Numbers (401 rows of 100000)"));
}

TEST_F(ReportPage, WritesTheFileOrSaysWhyNot) {
  make_run("run");
  const auto written = write_report({root_ / "run"}, root_ / "r.html", {});
  EXPECT_EQ(written["runs"][0]["epochs"], 4);
  EXPECT_EQ(written["runs"][0]["train_loss"], 0.25);
  EXPECT_EQ(fs::file_size(root_ / "r.html"), written["bytes"]);
  const auto refused = [&](const std::vector<fs::path>& folders, const fs::path& output,
                           ExitCode code) {
    try {
      write_report(folders, output, {});
      ADD_FAILURE() << output;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
    }
  };
  refused({}, root_ / "x.html", ExitCode::usage);
  refused({root_ / "run", root_ / "run/"}, root_ / "x.html", ExitCode::usage);
  refused({root_ / "run"}, root_ / "nowhere/x.html", ExitCode::usage);
  refused({root_ / "run", root_ / "none"}, root_ / "x.html", ExitCode::data);
  EXPECT_FALSE(fs::exists(root_ / "x.html"));
}

}  // namespace
}  // namespace sgmae
