// Oracle: the values written into the folders here.
#include "sgmae/report/run_reader.h"

#include <cmath>

#include "tests/report/folder.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

using RunReader = RunFolderTest;

TEST_F(RunReader, ReadsARun) {
  make_run("run");
  const RunRecord run = read_run(root_ / "run/");
  EXPECT_EQ(run.name, "run");
  EXPECT_EQ(run.setting("mask_strategy"), "self_guided");
  EXPECT_EQ(run.setting("mask_ratio"), "0.75");
  EXPECT_EQ(run.setting("data_path"), "a <b> & 'c'");
  EXPECT_EQ(run.setting("none"), "");
  EXPECT_EQ(run.settings.front().section, "model");  // the file's order
  EXPECT_EQ(run.settings.back().name, "seed");
  EXPECT_EQ(run.environment["threads"], 2);
  EXPECT_EQ(run.log.epoch, (std::vector<double>{1, 2, 3, 4}));  // finished
  EXPECT_EQ(run.log.epoch_of("train_loss", 0.5), 2);
  EXPECT_TRUE(std::isnan(run.log.epoch_of("train_loss", 7)));
  EXPECT_EQ(run.progress(), "after epoch 4 of 4");
  EXPECT_EQ(run.log.column.at("train_loss")[3], 0.25);
  EXPECT_TRUE(std::isnan(run.log.column.at("guide_start")[1]));
  EXPECT_EQ(run.log.last("guide_start"), 2);
  EXPECT_EQ(run.log.last_list.at("mask_R_M_layers"), (std::vector<double>{0.7, 0.75}));
  EXPECT_EQ(run.messages.images_per_epoch, 60);
  EXPECT_EQ(run.messages.continued, 1);
  EXPECT_EQ(run.messages.rollbacks, 1);
  EXPECT_EQ(run.messages.events.size(), 5u);
  EXPECT_TRUE(run.notes.empty());
}

TEST_F(RunReader, SettingsAreReadAsTomlMeansThem) {
  write("run/config.toml", "[a]\nb = \"q\\\"\\u00e4\"\nc = 1e-3\nd = true\ne = 5\nf = [1, 2]\n");
  const RunRecord run = read_run(root_ / "run");
  EXPECT_EQ(run.setting("b"), "q\"ä");
  EXPECT_EQ(run.setting("c"), "0.001");
  EXPECT_EQ(run.setting("d"), "true");
  EXPECT_EQ(run.setting("e"), "5");
}

TEST_F(RunReader, LinesThatAreNotWholeAreCounted) {
  const RunLog log = parse_log(
      "{\"epoch\":0,\"train_loss\":1}\n\nnot json\n[1]\n{\"epoch\":\"one\"}\n"
      "{\"epoch\":1,\"train_loss\":0.5}\n{\"epoch\":2,\"train_lo");
  EXPECT_EQ(log.epoch, (std::vector<double>{1, 2})) << "an older version's, which counted from 0";
  EXPECT_EQ(log.unreadable, 4);
  EXPECT_EQ(parse_log("{\"epoch\":1}\n{\"epoch\":2}\n").epoch, (std::vector<double>{1, 2}));
}

TEST_F(RunReader, NanIsReadAsPythonWritesIt) {
  const RunLog log = parse_log(
      "{\"train_loss\": NaN, \"note\": \"NaN \\\" Infinity\", \"test_loss\": -Infinity, \"epoch\": "
      "0}\n"
      "{\"train_loss\": null, \"test_loss\": 2, \"epoch\": 1}\n");
  EXPECT_EQ(log.unreadable, 0);
  EXPECT_EQ(log.keys, (std::vector<std::string>{"train_loss", "test_loss"}));
  EXPECT_TRUE(std::isnan(log.column.at("train_loss")[0]));
  EXPECT_TRUE(std::isnan(log.last("train_loss")));
  EXPECT_EQ(log.last("test_loss"), 2);
}

TEST_F(RunReader, TheLastLineOfAnEpochCounts) {
  const RunLog log = parse_log(
      "{\"epoch\":0,\"train_loss\":3}\n{\"epoch\":1,\"train_loss\":2}\n"
      "{\"epoch\":1,\"train_loss\":1}\n{\"epoch\":0,\"train_loss\":4}\n");
  EXPECT_EQ(log.repeated, 2);
  EXPECT_EQ(log.column.at("train_loss"), (std::vector<double>{4, 1}));
}

TEST_F(RunReader, AHundredThousandLines) {
  std::string text;
  for (int i = 0; i < 100000; ++i) text += str("{\"epoch\":", i, ",\"train_loss\":", i % 7, "}\n");
  const RunLog log = parse_log(text);
  EXPECT_EQ(log.epoch.size(), 100000u);
  EXPECT_EQ(log.last("train_loss"), 99999 % 7);
}

TEST_F(RunReader, DamagedPartsAreNamedAndLeftOut) {
  make_run("run");
  write("run/config.toml", "[model\nmodel = 1\n");
  write("run/env.json", "[]");
  write("run/result.json", "{\"acc1\": 0.5");
  fs::remove(root_ / "run/train.log");
  const RunRecord run = read_run(root_ / "run");
  EXPECT_TRUE(run.settings.empty());
  EXPECT_EQ(run.log.epoch.size(), 4u);
  ASSERT_EQ(run.notes.size(), 3u);
  EXPECT_NE(run.notes[0].find("config.toml is left out: line 1"), std::string::npos);
}

TEST_F(RunReader, MalformedTomlIsNamed) {
  for (const char* text : {"[=]", "a\x81 = 1", "ü = 1", "[a", "[a]\nb = 1\nb = 2", "x = 1"}) {
    write("run/config.toml", text);
    write("run/log.txt", "{\"epoch\":0}");
    const RunRecord run = read_run(root_ / "run");
    EXPECT_TRUE(run.settings.empty()) << text;
    EXPECT_EQ(run.notes.size(), text == std::string("x = 1") ? 0u : 1u) << text;
  }
}

TEST_F(RunReader, FactsAndEventsAreReadAsData) {
  make_run("run");
  write("run/run.json",
        R"({"kind":"finetune","model":"a ViT","data":"8 images; 2 steps","images_per_epoch":8})");
  write("run/events.jsonl",
        R"({"event":"began","epoch":0,"step":0})"
        "\n"
        R"({"event":"skipped","epoch":1,"step":12345,"loss":null,"grad_norm":2.5})"
        "\nnot JSON\n"
        R"({"event":"rolled back","because":"8 bad steps","at":"epoch 1, step 9","to":"there"})"
        "\n"
        R"({"event":"resumed","from":"here","epoch":1,"step":2})"
        "\n"
        R"({"event":"masks","text":"guidance began"})"
        "\n");
  const RunMessages m = read_run(root_ / "run").messages;
  EXPECT_EQ(m.model, "a ViT");
  EXPECT_EQ(m.data, "8 images; 2 steps");
  EXPECT_EQ(m.images_per_epoch, 8);
  EXPECT_EQ(m.skipped, 1);
  EXPECT_EQ(m.rollbacks, 1);
  EXPECT_EQ(m.continued, 1);
  ASSERT_EQ(m.events.size(), 4u) << "what train.log says of the same is not told twice";
  EXPECT_EQ(m.kind, "finetune");
  EXPECT_TRUE(m.events[0].starts_with("step skipped in epoch 2, after step 12345: loss "))
      << m.events[0];
  EXPECT_EQ(m.events[1], "rolled back from epoch 1, step 9 to there: 8 bad steps");
  EXPECT_EQ(m.events[2], "resumed in epoch 2, after step 2 from here");
  EXPECT_EQ(m.events[3], "guidance began");
}

// What the engine writes when a run is begun, interrupted, resumed, finished, and called once more.
TEST_F(RunReader, AFinishedRunThatIsCalledAgainWasNeitherRestartedNorFinishedAgain) {
  const auto line = [](const char* event, int minute, int epoch, int step) {
    return str(R"({"time":"2026-11-28T13:0)", minute, R"(:00Z","event":")", event,
               R"(","from":"c","epoch":)", epoch, R"(,"step":)", step, "}\n");
  };
  const std::string once = line("began", 1, 0, 0) + line("interrupted", 2, 1, 5) +
                           line("resumed", 3, 1, 5) + line("finished", 4, 4, 0);
  for (const std::string& events :
       {once, once + line("resumed", 5, 4, 0) + line("finished", 6, 4, 0)}) {
    const RunMessages m = parse_events(events);
    EXPECT_EQ(m.began, "2026-11-28T13:01:00Z");
    EXPECT_EQ(m.finished, "2026-11-28T13:04:00Z");
    EXPECT_EQ(m.continued, 1);
    EXPECT_EQ(m.events, (std::vector<std::string>{"interrupted in epoch 2, after step 5",
                                                  "resumed in epoch 2, after step 5 from c"}));
  }
  // Made longer, it goes on.
  const RunMessages longer =
      parse_events(once + line("resumed", 5, 4, 0) + line("finished", 7, 8, 0));
  EXPECT_EQ(longer.continued, 2);
  EXPECT_EQ(longer.finished, "2026-11-28T13:07:00Z");
  EXPECT_EQ(longer.events.back(), "resumed after epoch 4 from c");
}

TEST_F(RunReader, AStartFromAnotherRunIsNoRestart) {
  const RunMessages m = parse_events(R"({"event":"resumed","from":"there","epoch":2,"step":0})"
                                     "\n"
                                     R"({"event":"began","epoch":2,"step":0})"
                                     "\n");
  EXPECT_EQ(m.continued, 0);
  EXPECT_EQ(m.events, (std::vector<std::string>{"began from there"}));
  EXPECT_EQ(m.begun_from, "there");
}

TEST_F(RunReader, WithoutALogThereIsStillTheRest) {
  make_run("run");
  fs::remove(root_ / "run/log.txt");
  EXPECT_TRUE(read_run(root_ / "run").log.epoch.empty());
}

TEST_F(RunReader, FindsResultsMeasurementsAndPicturesOneFolderDown) {
  write("run/result.json", "{\"acc1\": 0.5}");
  write("run/linprobe/result.json", "{\"acc1\": 0.6}");
  write("run/analysis/metrics.json", "{}");
  for (const char* epoch : {"10", "9", "0"})
    picture(str("run/figures/masks_after_epoch_", epoch, ".png"));
  picture("run/knn/figures/confusion.png");
  write("run/figures/notes.txt", "no picture");
  const RunRecord run = read_run(root_ / "run");
  ASSERT_EQ(run.results.size(), 2u);
  EXPECT_EQ(run.results[1].file, "linprobe/result.json");
  EXPECT_TRUE(run.results[1].report.empty());
  EXPECT_EQ(run.measurements.size(), 1u);
  ASSERT_EQ(run.figures.size(), 4u);
  EXPECT_EQ(run.figures[1].filename(), "masks_after_epoch_9.png");
  EXPECT_EQ(run.figures[2].filename(), "masks_after_epoch_10.png");
}

TEST_F(RunReader, AnEvaluationThatGoesOnTellsItsLastTest) {
  make_run("run");
  write("run/linprobe/run.json", R"({"kind": "linprobe"})");
  write("run/linprobe/config.toml", "[optim]\nepochs = 90\n");
  write("run/linprobe/report.html", "a page");
  write("run/linprobe/log.txt",
        "{\"epoch\":0,\"test_acc1\":20}\n{\"epoch\":1,\"test_acc1\":25,\"test_loss\":3}\n");
  write("run/other/run.json", R"({"kind": "pretrain"})");
  write("run/other/log.txt", "{\"epoch\":0,\"train_loss\":1}\n");
  const RunRecord run = read_run(root_ / "run");
  ASSERT_EQ(run.results.size(), 1u);
  const RunResult& result = run.results[0];
  EXPECT_EQ(result.kind, "linprobe");
  EXPECT_EQ(result.content, nlohmann::ordered_json::parse(R"({"acc1": 0.25})"));
  EXPECT_EQ(result.progress, "after epoch 2 of 90");
  EXPECT_EQ(result.report, root_ / "run/linprobe/report.html");
}

TEST_F(RunReader, WhatIsNoRunIsRefused) {
  const auto refused = [&](const fs::path& folder, const std::string& why) {
    try {
      read_run(folder);
      ADD_FAILURE() << folder;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::data);
      EXPECT_NE(std::string(error.what()).find(why), std::string::npos) << error.what();
    }
  };
  refused(root_ / "nowhere", "no such folder");
  refused(root_, "is not a run folder");
  write("file", "");
  refused(root_ / "file", "is a file");
  write("log.txt", "half a l");
  refused(root_, "is not a run folder");
}

TEST_F(RunReader, NamesTellRunsApart) {
  std::vector<RunRecord> runs(3);
  runs[0].folder = "/a/x/run";
  runs[1].folder = "/a/y/run";
  runs[2].folder = "/a/other";
  for (RunRecord& run : runs) run.name = run.folder.filename().string();
  unique_names(runs);
  EXPECT_EQ(runs[0].name, "x/run");
  EXPECT_EQ(runs[1].name, "y/run");
  EXPECT_EQ(runs[2].name, "other");
}

}  // namespace
}  // namespace sgmae
