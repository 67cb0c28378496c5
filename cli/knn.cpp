// sgmae knn: what an encoder knows, by the neighbours of its features.
#include <memory>

#include "cli/command.h"
#include "sgmae/base/log.h"
#include "sgmae/eval/knn_task.h"
#include "sgmae/train/checkpoint.h"
#include "sgmae/train/compute.h"

namespace sgmae {
namespace {

struct KnnArguments {
  std::string checkpoint;
  KnnTask task;
  int threads = 0;
  PrecisionChoice precision = PrecisionChoice::automatic;

  void declare(Options& o) {
    o.section("model");
    o.add("checkpoint", checkpoint, "run folder or .safetensors file; the decoder is not needed");
    task.declare(o);
    o.section("run");
    declare_compute(o, threads, precision);
  }
};

nlohmann::ordered_json run_knn(const KnnArguments& options) {
  check(!options.checkpoint.empty(), ExitCode::usage,
        "checkpoint is missing; name a run folder or a model file: --checkpoint PATH");
  use_threads(options.threads);
  LoadedMae loaded = load_mae(options.checkpoint, /*need_decoder=*/false);
  loaded.model.set_precision(choose_precision(options.precision));
  const KnnScore score = run_knn(loaded.model, {loaded.info.mean, loaded.info.std}, options.task);
  info(loaded.path.string(), ": k-NN accuracy ", fixed(100 * score.result.accuracy, 2),
       " %, mean over classes ", fixed(100 * score.result.class_mean, 2), " % (", score.test_images,
       " images against ", score.train_images, ", k ", options.task.knn.k, ")");
  nlohmann::ordered_json json{{"checkpoint", loaded.path.string()}, {"epoch", loaded.info.epoch}};
  json.update(to_json(score));
  return json;
}

}  // namespace

Command knn_command() {
  const auto options = std::make_shared<KnnArguments>();
  Command command;
  options->declare(command.options);
  command.run = [options](const std::vector<std::string>&) { return run_knn(*options); };
  return command;
}

}  // namespace sgmae
