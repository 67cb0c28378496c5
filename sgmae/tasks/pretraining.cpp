#include "sgmae/tasks/pretraining.h"

#include <algorithm>

#include "sgmae/base/log.h"
#include "sgmae/data/normalisation_file.h"
#include "sgmae/eval/knn_task.h"
#include "sgmae/eval/labelled_data.h"
#include "sgmae/tasks/settle.h"

namespace sgmae {
namespace {

const RunKind pretraining{
    "pretrain", "pre-training run", "[mask]", {"checkpoints", "maps", "figures"}};

}  // namespace

namespace {

Normalisation training_normalisation(const PretrainOptions& o, int channels, const Source& source,
                                     const ModelFile* init) {
  const bool stored = source.stored_values().has_value();
  if (!o.normalisation.empty()) {
    Normalisation read = read_normalisation(o.normalisation);
    check(read.stored.has_value() == stored, ExitCode::data, o.normalisation, " is of ",
          stored ? "8-bit pixels" : "values as stored", ", and ", o.data_path, " is read as ",
          stored ? "values as stored" : "8-bit pixels",
          "; measure it with sgmae data stats under the same --values");
    check(static_cast<int>(read.mean.size()) == channels, ExitCode::data, o.normalisation, " has ",
          read.mean.size(), " channels, and the images have ", channels,
          "; measure these with sgmae data stats --save");
    read.stored = source.stored_values();  // with what the options say beside the file
    return read;
  }
  if (init && init->vit.channels == channels && init->info.stored.has_value() == stored)
    return init->info.normalisation();
  return own_normalisation(source, channels, o.num_workers);
}

bool all_labelled(const Source& source) {
  return std::none_of(source.labels().begin(), source.labels().end(),
                      [](std::int64_t label) { return label < 0; });
}

// What NeighbourTest would find missing in the middle of the run.
void check_neighbour_test(const PretrainOptions& o, const Source& train) {
  std::unique_ptr<Source> test;
  try {
    test = open_source(o.data_path, "test", o.data_root, o.data_format);
  } catch (const Error& error) {
    fail(error.code(), error.what(), "; put it there, or leave out --knn_every, which tests on it");
  }
  check(all_labelled(train) && all_labelled(*test), ExitCode::data, "some images of ", o.data_path,
        " have no label, by which --knn_every tests; sort them into one folder per class, give "
        "labels in a list file, or leave --knn_every out");
}

}  // namespace

LoaderOptions pretraining_loader(const PretrainOptions& o, const Encoder& encoder,
                                 const Source& source, const ModelFile* init) {
  const VitConfig& config = encoder.config();
  LoaderOptions loader = model_loader(
      config, training_normalisation(o, static_cast<int>(config.channels), source, init));
  loader.batch_size = o.batch_size;
  loader.num_workers = o.num_workers;
  loader.seed = o.seed;
  loader.pinned = o.pin_mem && !encoder.device().is_cpu();
  return loader;
}

EvaluationResult NeighbourTest::test(const Encoder& encoder, const Normalisation& normalisation) {
  KnnTask task;
  task.data.data_path = options_.data_path;
  task.data.data_format = options_.data_format;
  task.data.data_root = options_.data_root;
  task.data.num_workers = options_.num_workers;
  task.plain_k = "";
  task.pictures = 0;
  const KnnScore score = run_knn(encoder, normalisation, task);
  if (!pixels_compared_) {
    pixels_compared_ = true;
    pixels_acc1_ = pixel_knn_acc1(encoder.config(), normalisation, task);
    if (pixels_acc1_)
      info("k-NN accuracy by raw pixels, without a model: ", fixed(100 * *pixels_acc1_, 2), " %");
  }
  EvaluationResult result{.headline = "k-NN accuracy",
                          .value = score.counts().top1(),
                          .entries = {{"knn_acc1", score.counts().top1()},
                                      {"knn_class_mean", score.counts().class_mean()},
                                      {"knn_acc1_cls", score.rows.back().counts.top1()}}};
  if (pixels_acc1_) result.entries["knn_acc1_pixels"] = *pixels_acc1_;
  return result;
}

RunFolder open_run_folder(const PretrainOptions& options) {
  return open_run_folder(options, pretraining);
}

PretrainResult run_pretraining(TrainTask& task, const PretrainOptions& options,
                               const EngineHooks& hooks) {
  whole_steps(task.training_images().size(), options);  // what is refused before leaves no trace
  if (options.eval_every > 0) check_neighbour_test(options, task.training_images());
  const RunFolder folder = open_run_folder(options);
  const EngineResult result = Engine(task,
                                     {.optim = options,
                                      .run = options,
                                      .config = config_toml(options),
                                      .kind = pretraining.command,
                                      .layout = CheckpointLayout::numbered,
                                      .start_epoch = options.start_epoch},
                                     folder, hooks)
                                  .run();
  const auto accuracy = [](const std::optional<EvaluationResult>& evaluation) {
    return evaluation ? std::optional(evaluation->value) : std::nullopt;
  };
  return {.folder = folder.root,
          .checkpoint = result.checkpoint,
          .train_loss = result.clock.train_loss,
          .guide_start = {},
          .guide_reason = {},
          .skipped_steps = result.skipped_steps,
          .rollbacks = result.clock.rollbacks,
          .images_per_second = result.images_per_second,
          .data_wait = result.data_wait,
          .knn_acc1_before = accuracy(result.first),
          .knn_acc1 = accuracy(result.last),
          .knn_acc1_pixels = {}};
}

}  // namespace sgmae
