// Oracle: what must be in metrics.json for models and data made for the test, and the errors that
// users must see.
#include "sgmae/eval/analysis_task.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "sgmae/checkpoint/write_model.h"
#include "tests/data/folder.h"
#include "tests/support/processes.h"

namespace sgmae {
namespace {

MaeConfig small() {
  return {.height = 16,
          .width = 16,
          .channels = 3,
          .patch_size = 4,
          .encoder = {16, 2, 2},
          .decoder = {16, 1, 2}};
}

void save(const std::string& path, std::uint64_t seed, std::int64_t epoch,
          const MaeConfig& config = small()) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  ModelInfo info;
  info.mean = {0.5f, 0.5f, 0.5f};
  info.std = {1, 1, 1};
  info.epoch = epoch;
  save_mae(path, Mae(config, seed), info);
}

// A run with epochs 2, 10 and 20, beside it another one's file, and six images.
void make(const Folder& folder) {
  for (const int epoch : {2, 10, 20})
    save(folder.path(str("run/checkpoints/checkpoint-", epoch - 1, ".safetensors")),
         static_cast<std::uint64_t>(epoch), epoch);
  save(folder.path("other/model.safetensors"), 7, 3);
  for (int i = 0; i < 6; ++i) folder.image(str("data/images/", i, ".png"), i, 16 + 4 * i, 20);
}

AnalysisTask task_for(const Folder& folder) {
  AnalysisTask task;
  task.data_path = folder.path("data");
  task.num_workers = 0;
  return task;
}

TEST(OpenModels, ARunFolderIsAllItsEpochsInOrder) {
  const Folder folder;
  make(folder);
  const auto models =
      open_models({folder.path("run"), folder.path("other/model.safetensors")}, Precision::fp32);
  ASSERT_EQ(models.size(), 4u);
  EXPECT_EQ(models[0].epoch, 2);
  EXPECT_EQ(models[2].epoch, 20);
  EXPECT_EQ(models[2].name, "run epoch 20");
  for (int m = 0; m < 3; ++m) EXPECT_EQ(models[m].last_of_run, 2u);
  EXPECT_EQ(models[3].last_of_run, 3u);
  error_of(ExitCode::checkpoint,
           [&] { open_models({folder.path("nothing.safetensors")}, Precision::fp32); });
}

TEST(RunAnalysis, FillsTheDocumentedSchema) {
  const Folder folder;
  make(folder);
  const auto models = open_models({folder.path("run")}, Precision::fp32);
  AnalysisTask task = task_for(folder);
  task.images = 4;
  const Analysis analysis = run_analysis(models, task, 3);
  EXPECT_EQ(analysis.examples.sizes(), (std::vector<std::int64_t>{3, 3, 16, 16}));
  const auto& json = analysis.json;
  EXPECT_EQ(json["schema"], 1);
  EXPECT_EQ(json["images"], 4);
  EXPECT_EQ(json["models"].size(), 3u);
  EXPECT_EQ(json["models"][1]["epoch"], 10);
  EXPECT_FALSE(json["metrics"].contains("object_iou"));  // nothing is marked
  int curves = 0;
  for (const auto& [name, metric] : json["metrics"].items()) {
    for (const char* key : {"title", "paper", "unit", "axes", "series"})
      EXPECT_TRUE(metric.contains(key)) << name << " " << key;
    for (const auto& series : metric["series"]) {
      ++curves;
      EXPECT_LT(series["model"].get<int>(), 3) << name;
      const std::string x = series["x"];
      EXPECT_TRUE(x == "layer" || x == "epoch" || x == "depth" || x == "frequency") << name;
      EXPECT_GT(series["at"].size(), 0u) << name;
      EXPECT_EQ(series["values"].size(), series["at"].size()) << name;
      EXPECT_EQ(series["spread"].size(), series["at"].size()) << name;
      for (const auto& value : series["values"]) EXPECT_TRUE(value.is_number()) << name;
    }
  }
  EXPECT_GT(curves, 100);
  EXPECT_EQ(json["metrics"]["exploitation_by_epoch"]["series"][0]["at"],
            (std::vector<double>{2, 10, 20}));
}

TEST(RunAnalysis, ReadsMarkedObjects) {
  const Folder folder;
  make(folder);
  for (int i = 0; i < 5; ++i) folder.write(str("data/labels/", i, ".txt"), "0 0.5 0.5 0.5 0.5\n");
  const auto models = open_models({folder.path("other/model.safetensors")}, Precision::fp32);
  AnalysisTask task = task_for(folder);
  task.metrics = "objects";
  const Analysis analysis = run_analysis(models, task, 0);
  EXPECT_EQ(analysis.json["data"]["images_with_objects"], 5);
  EXPECT_EQ(analysis.json["metrics"]["object_iou_by_rule"]["series"].size(), object_rules().size());
  EXPECT_FALSE(analysis.examples.defined());
  task.objects = folder.path("elsewhere");
  EXPECT_NE(
      error_of(ExitCode::usage, [&] { run_analysis(models, task, 0); }).find("does not exist"),
      std::string::npos);
  folder.write("elsewhere/7.txt", "0 0.5 0.5 0.5 0.5\n");
  task.metrics = "all";
  EXPECT_NE(error_of(ExitCode::data, [&] { run_analysis(models, task, 0); }).find("marks nothing"),
            std::string::npos);
  folder.write("elsewhere/3.txt", "0 0.5 0.5 0.5 0.5\n");
  task.metrics = "objects";
  EXPECT_EQ(run_analysis(models, task, 0).json["data"]["images_with_objects"], 1);
  task.objects = "";
  folder.write("data/labels/3.txt", "0 0.5\n");
  EXPECT_NE(error_of(ExitCode::data, [&] { run_analysis(models, task, 0); }).find("3.txt:1"),
            std::string::npos);
}

TEST(RunAnalysis, DoesNotDependOnTheBatchSize) {
  const Folder folder;
  make(folder);
  const auto models = open_models({folder.path("other/model.safetensors")}, Precision::fp32);
  AnalysisTask task = task_for(folder);
  task.metrics = "exploitation, error";
  const auto whole = run_analysis(models, task, 0).json["metrics"];
  task.batch_size = 1;
  const auto single = run_analysis(models, task, 0).json["metrics"];
  for (const char* metric : {"exploitation", "reconstruction_error"})
    EXPECT_NEAR(whole[metric]["series"][0]["values"][0].get<double>(),
                single[metric]["series"][0]["values"][0].get<double>(), 1e-5);
}

TEST(RunAnalysis, ErrorsTeach) {
  const Folder folder;
  make(folder);
  const auto single = open_models({folder.path("other/model.safetensors")}, Precision::fp32);
  const auto message = [&](ExitCode code, const char* metrics, const std::string& data) {
    AnalysisTask task = task_for(folder);
    task.metrics = metrics;
    task.data_path = data;
    return error_of(code, [&] { run_analysis(single, task, 0); });
  };
  const std::string data = folder.path("data");
  EXPECT_NE(message(ExitCode::usage, "attenton", data).find("did you mean 'attention'"),
            std::string::npos);
  EXPECT_NE(message(ExitCode::usage, "zebra", data).find("relations"), std::string::npos);
  EXPECT_NE(message(ExitCode::usage, " , ", data).find("empty"), std::string::npos);
  EXPECT_NE(message(ExitCode::usage, "divergence", data).find("run folder"), std::string::npos);
  EXPECT_NE(message(ExitCode::data, "objects", data).find("labels"), std::string::npos);
  EXPECT_NE(message(ExitCode::usage, "all", "").find("data_path"), std::string::npos);
  folder.image("one/1.png");
  EXPECT_NE(message(ExitCode::data, "all", folder.path("one")).find("at least two"),
            std::string::npos);
}

// Bit for bit, in every process. One image cannot be read, and one is not marked.
TEST(RunAnalysis, IsTheSameInSeveralProcesses) {
  at::set_num_threads(1);  // in_processes
  const Folder folder;
  make(folder);
  for (int i = 6; i < 11; ++i) folder.image(str("data/images/", i, ".png"), 20 * i, 20, 16);
  folder.write("data/images/5.png", "no image");
  for (int i = 0; i < 10; ++i)
    folder.write(str("data/labels/", i, ".txt"), str("0 0.", 3 + i % 4, " 0.5 0.5 0.4\n"));
  const auto models =
      open_models({folder.path("run"), folder.path("other/model.safetensors")}, Precision::fp32);
  AnalysisTask task = task_for(folder);
  task.images = 0;
  task.batch_size = 2;
  task.survey.center = GuideCenter::position;
  const Analysis one = run_analysis(models, task, 3);
  EXPECT_EQ(one.json["images"], 10);
  EXPECT_EQ(one.json["unreadable_images"], 1);
  EXPECT_TRUE(one.json["metrics"].contains("position_bias"));
  for (const int size : {2, 3})
    expect_in_processes(size, [&] {
      const Analysis several = run_analysis(models, task, 3);
      EXPECT_EQ(several.json, one.json);
      EXPECT_TRUE(several.examples.equal(one.examples));
      for (std::size_t i = 0; i < models.size(); ++i)
        for (const auto& [block, mean] : one.subjects[i].position_mean)
          EXPECT_TRUE(several.subjects[i].position_mean.at(block).equal(mean)) << block;
    });
}

}  // namespace
}  // namespace sgmae
