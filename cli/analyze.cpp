// sgmae analyze: the paper's measurements of checkpoints, as numbers and pictures.
#include <filesystem>
#include <memory>
#include <system_error>

#include "cli/command.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/eval/analysis_task.h"
#include "sgmae/eval/labelled_data.h"
#include "sgmae/image/encode.h"
#include "sgmae/parallel/process_group.h"
#include "sgmae/report/analysis_figures.h"
#include "sgmae/report/report.h"
#include "sgmae/train/compute.h"

namespace sgmae {
namespace {

namespace fs = std::filesystem;

struct AnalyzeOptions {
  AnalysisTask task;
  FigureOptions figures;
  std::string output_dir;
  ComputeOptions compute{.precision = PrecisionChoice::fp32};
  LaunchOptions launch;

  void declare(Options& o) {
    task.declare(o);
    o.section("figures");
    o.add("clusters", figures.clusters, "number of clusters per image");
    o.add("figure_images", figures.images, "images shown; 0: no pictures");
    o.add("figure_models", figures.models, "checkpoints shown side by side");
    o.section("run");
    o.add("output_dir", output_dir,
          "folder for metrics.json and pictures; empty: the folder analysis of the run whose "
          "checkpoints they are, else runs/analysis");
    compute.declare(o);
    launch.declare(o);
  }
};

fs::path metrics_file(const AnalyzeOptions& options) {
  return fs::path(options.output_dir) / "metrics.json";
}

// Pictures and metrics.json, which is written last.
void write_results(const AnalyzeOptions& options, Analysis& analysis, std::size_t models) {
  std::vector<Figure> figures;
  if (analysis.examples.defined()) {
    FigureOptions shown = options.figures;
    shown.names = analysis.example_names;
    figures = analysis_figures(analysis.subjects, analysis.examples, analysis.options, shown);
  }

  // All is computed: what follows only writes.
  const fs::path folder = options.output_dir;
  std::error_code error;
  fs::create_directories(folder, error);
  check(!error, ExitCode::usage, "cannot make the folder ", folder.string(), ": ", error.message(),
        "; choose another --output_dir");
  analysis.json["figures"] = nlohmann::ordered_json::array();
  for (const Figure& figure : figures) {
    write_png(folder / figure.file, figure.image);
    analysis.json["figures"].push_back({{"file", figure.file},
                                        {"title", figure.title},
                                        {"paper", figure.paper},
                                        {"caption", figure.caption}});
  }
  const fs::path metrics = metrics_file(options);
  write_file(metrics,
             analysis.json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  info("wrote ", metrics.string(), " (", analysis.json["metrics"].size(), " metrics of ", models,
       " checkpoints on ", analysis.json["images"].get<std::int64_t>(), " images",
       left_out_note(analysis.json["unreadable_images"]), ") and ", figures.size(), " pictures");
}

// Beside the run whose checkpoints all are.
std::string own_folder_of(const AnalysisTask& task) {
  std::string folder = evaluation_folder("", task.checkpoints.front(), "analysis");
  for (const std::string& checkpoint : task.checkpoints)
    if (evaluation_folder("", checkpoint, "analysis") != folder) return "runs/analysis";
  return folder;
}

nlohmann::ordered_json run_analyze(AnalyzeOptions options) {
  check(!options.task.checkpoints.empty(), ExitCode::usage,
        "checkpoint is missing; name a run folder or model files: --checkpoint PATH");
  check(options.figures.clusters >= 2 && options.figures.images >= 0 && options.figures.models >= 1,
        ExitCode::usage,
        "clusters must be at least 2, figure_models at least 1, and figure_images not negative");
  options.task.check();  // before models are read
  if (options.output_dir.empty()) options.output_dir = own_folder_of(options.task);
  options.compute.check();
  use_threads(options.compute.threads);
  std::vector<AnalysedModel> models =
      open_models(options.task.checkpoints, Precision::fp32, options.task.open);
  for (AnalysedModel& model : models) place(model.opened, options.compute);
  Analysis analysis = run_analysis(models, options.task, options.figures.images);
  processes().leader([&] { write_results(options, analysis, models.size()); });
  report_on_run_around(options.output_dir);
  return {{"metrics", metrics_file(options).string()},
          {"images", analysis.json["images"]},
          {"unreadable_images", analysis.json["unreadable_images"]},
          {"checkpoints", models.size()},
          {"figures", analysis.json["figures"]}};
}

}  // namespace

Command analyze_command() {
  const auto options = std::make_shared<AnalyzeOptions>();
  Command command;
  options->declare(command.options);
  command.launch = &options->launch;
  command.run = [options](const std::vector<std::string>&) { return run_analyze(*options); };
  return command;
}

}  // namespace sgmae
