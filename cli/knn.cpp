// sgmae knn: what an encoder knows, by the neighbours of its features.
#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "sgmae/base/log.h"
#include "sgmae/checkpoint/open_model.h"
#include "sgmae/eval/knn_task.h"
#include "sgmae/image/encode.h"
#include "sgmae/parallel/process_group.h"
#include "sgmae/report/report.h"
#include "sgmae/train/compute.h"

namespace sgmae {
namespace {

struct KnnArguments {
  std::string checkpoint, output_dir;
  KnnTask task;
  OpenOptions open;
  ComputeOptions compute;
  LaunchOptions launch;

  void declare(Options& o) {
    o.section("model");
    o.add("checkpoint", checkpoint, "run folder or checkpoint of any family");
    open.declare(o);
    task.declare(o);
    o.section("run");
    o.add("output_dir", output_dir,
          "folder for result.json, the confusion matrix and a sheet of neighbours; empty: the "
          "folder knn of the "
          "checkpoint's run, else runs/knn");
    compute.declare(o);
    launch.declare(o);
  }
};

nlohmann::ordered_json run_knn(const KnnArguments& options) {
  check(!options.checkpoint.empty(), ExitCode::usage,
        "checkpoint is missing; name a run folder or a model file: --checkpoint PATH");
  options.compute.check();
  options.task.check();
  use_threads(options.compute.threads);
  OpenedModel loaded = open_model(options.checkpoint, options.open);
  check_use(Use::knn, loaded);
  place(loaded, options.compute);
  const KnnScore score = run_knn(loaded.encoder(), loaded.info.normalisation(), options.task);
  for (const KnnRow& row : score.rows)
    info(row.features == FeatureKind::cls ? "class token" : "mean of patches", ", k ", row.votes.k,
         row.votes.temperature > 0 ? str(", temperature ", row.votes.temperature) : ", plain",
         ": top-1 ", fixed(100 * row.counts.top1(), 2), " %, top-5 ",
         fixed(100 * row.counts.top5(), 2), " %, mean over classes ",
         fixed(100 * row.counts.class_mean(), 2), " %");
  info(loaded.path.string(), ": k-NN accuracy ", fixed(100 * score.counts().top1(), 2), " % on ",
       score.test_images, " test images", left_out_note(score.unreadable_test_images), " against ",
       score.train_images, " training images", left_out_note(score.unreadable_train_images));
  const auto pixels =
      pixel_knn_acc1(loaded.encoder().config(), loaded.info.normalisation(), options.task);
  if (pixels)
    info("the same vote by raw pixels, without a model: top-1 ", fixed(100 * *pixels, 2), " %");
  nlohmann::ordered_json json{{"checkpoint", loaded.path.string()}, {"epoch", loaded.info.epoch}};
  json.update(to_json(score));
  json["knn_acc1_pixels"] = pixels ? nlohmann::ordered_json(*pixels) : nullptr;
  const std::string folder = evaluation_folder(options.output_dir, options.checkpoint, "knn");
  processes().leader([&] {
    write_result(folder, json, score.counts(), score.class_names);
    const std::filesystem::path sheet =
        std::filesystem::path(folder) / "figures" / "neighbours.png";
    if (!score.neighbours.pixels.empty()) write_png(sheet, score.neighbours);
  });
  info("result: ", (std::filesystem::path(folder) / "result.json").string());
  report_on_run_around(folder);
  return json;
}

}  // namespace

Command knn_command() {
  const auto options = std::make_shared<KnnArguments>();
  Command command;
  options->declare(command.options);
  command.launch = &options->launch;
  command.run = [options](const std::vector<std::string>&) { return run_knn(*options); };
  return command;
}

}  // namespace sgmae
