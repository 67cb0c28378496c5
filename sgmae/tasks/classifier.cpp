#include "sgmae/tasks/classifier.h"

#include "sgmae/base/error.h"
#include "sgmae/base/log.h"
#include "sgmae/data/mixup.h"
#include "sgmae/parallel/process_group.h"
#include "sgmae/train/shared_pass.h"

namespace sgmae {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

void ClassifierOptions::declare_checkpoint(Options& o, const char* meaning) {
  o.add("checkpoint", checkpoint, meaning).alias("finetune").may_change_on_resume();
  open.declare(o);
}

OptionInfo& ClassifierOptions::declare_classes(Options& o) {
  return o.add("nb_classes", nb_classes, "number of classes that the data must have; 0: any");
}

void ClassifierOptions::declare_run(Options& o) {
  RunOptions::declare(o, "eval_every",
                      "epochs between tests; 0: none but that of the last epoch, which is always "
                      "tested");
  o.add("eval", eval, "only test the checkpoint's classifier");
  ComputeOptions::declare(o);
  launch.declare(o);
  o.add("dist_eval", dist_eval, "share the test images among processes; without effect: always")
      .may_change_on_resume();
}

void ClassifierOptions::check() const {
  OptimOptions::check();
  RunOptions::check();
  ComputeOptions::check();
  data.check();
}

LabelledSources open_classes(const LabelledData& data, std::int64_t nb_classes) {
  LabelledSources sources = open_labelled(data);
  check(nb_classes == 0 || nb_classes == sources.classes, ExitCode::usage, "nb_classes is ",
        nb_classes, ", but the training images have ", sources.classes,
        " classes; leave --nb_classes out");
  return sources;
}

LabelledSources open_test_images(const LabelledData& data, const TrainedClasses& classes,
                                 std::int64_t nb_classes) {
  check(nb_classes == 0 || nb_classes == classes.count, ExitCode::usage, "nb_classes is ",
        nb_classes, ", but ", classes.file.string(), " has ", classes.count,
        " classes; leave --nb_classes out");
  return open_tested(data, classes);
}

void check_model_name(const std::string& model, const VitConfig& encoder, const fs::path& path) {
  if (model.empty()) return;
  const MaeConfig named = named_config(model);
  check(named.encoder.dim == encoder.size.dim && named.encoder.depth == encoder.size.depth &&
            named.patch_size == encoder.patch_size,
        ExitCode::usage, path.string(), " is not a ", model, ": its encoder is ", encoder.size.dim,
        " x ", encoder.size.depth, " with patch ", encoder.patch_size, "; leave --model out");
}

VitConfig chosen_encoder(const EncoderSizes& sizes, const std::optional<Pretrained>& checkpoint,
                         std::int64_t channels) {
  if (checkpoint) {
    check_model_name(sizes.model, checkpoint->config, checkpoint->path);
    check(sizes.dim == 0 && sizes.depth == 0 && sizes.patch_size == 0, ExitCode::usage,
          "dim, depth and patch_size are set by the checkpoint; leave them out");
    return checkpoint->config;
  }
  VitConfig config =
      encoder_config(named_config(sizes.model.empty() ? "vit_base_patch16" : sizes.model));
  if (sizes.dim > 0) config.size.dim = sizes.dim, config.mlp_hidden = 4 * sizes.dim;
  if (sizes.depth > 0) config.size.depth = sizes.depth;
  if (sizes.heads > 0) config.size.heads = sizes.heads;
  if (sizes.patch_size > 0) config.patch_size = sizes.patch_size;
  config.channels = channels;
  return config;
}

TestResult test_classifier(const Source& source, const LoaderOptions& options, std::int64_t classes,
                           const ScoreBatch& scores) {
  TestResult result{ClassificationCounts(classes)};
  const SharedPass pass = shared_pass("test", source, options, [&](const Batch& batch) {
    const at::Tensor found = scores(batch);
    result.counts.add(found, batch.label);
    result.loss += cross_entropy(found, batch.label);
  });
  result.counts.sum_over_processes();
  result.loss = processes().sum(result.loss) / static_cast<double>(pass.images);
  result.unreadable = pass.unreadable;
  return result;
}

double cross_entropy(const at::Tensor& scores, const std::vector<std::int64_t>& labels) {
  return static_cast<double>(labels.size()) *
         soft_cross_entropy(scores, soft_targets(labels, scores.size(1), 1, 0), 1, nullptr)
             .item<double>();
}

ordered_json score_entries(const LabelledSources& sources, const TestResult& test) {
  ordered_json entries{{"classes", sources.classes}};
  if (sources.train) entries["train_images"] = sources.train->size();
  entries.update({{"test_images", test.counts.images()},
                  {"unreadable_test_images", test.unreadable},
                  {"acc1", test.counts.top1()},
                  {"acc5", test.counts.top5()},
                  {"class_mean", test.counts.class_mean()},
                  {"test_loss", test.loss}});
  return entries;
}

ordered_json test_log_entries(const TestResult& test) {
  return {{"test_loss", test.loss},
          {"test_acc1", 100 * test.counts.top1()},
          {"test_acc5", 100 * test.counts.top5()},
          {"test_class_mean", 100 * test.counts.class_mean()},
          {"unreadable_test_images", test.unreadable}};
}

ordered_json report_test(const fs::path& folder, ordered_json result, const TestResult& test,
                         const LabelledSources& sources) {
  result["test"] = to_json(test.counts, sources.class_names);
  processes().leader([&] { write_result(folder, result, test.counts, sources.class_names); });
  info("top-1 ", fixed(100 * test.counts.top1(), 2), " %, top-5 ",
       fixed(100 * test.counts.top5(), 2), " %, mean over classes ",
       fixed(100 * test.counts.class_mean(), 2), " % of ", test.counts.images(), " test images",
       left_out_note(test.unreadable), "; ", (folder / "result.json").string());
  return result;
}

std::optional<EvaluationResult> ClassifierTask::evaluate(std::int64_t) {
  last_test_ = test();
  return EvaluationResult{.headline = "top-1",
                          .value = last_test_->counts.top1(),
                          .entries = test_log_entries(*last_test_)};
}

LoaderOptions ClassifierTask::plain_loader(const ClassifierOptions& options,
                                           const VitConfig& config,
                                           const Normalisation& normalisation) const {
  LoaderOptions loader = model_loader(config, normalisation);
  loader.batch_size = options.batch_size;
  loader.num_workers = options.data.num_workers;
  loader.pinned = options.pin_mem && !device().is_cpu();
  return loader;
}

std::string ClassifierTask::data_sentence() const {
  return str(sources_.train->size(), " training and ", sources_.test->size(), " test images of ",
             sources_.classes, " classes");
}

ordered_json train_classifier(ClassifierTask& task, const ClassifierOptions& options,
                              const std::string& config, const RunKind& kind,
                              const RunFolder& folder, const EngineHooks& hooks,
                              ordered_json summary) {
  const EngineResult run = Engine(task,
                                  {.optim = options,
                                   .run = options,
                                   .config = config,
                                   .kind = kind.command,
                                   .layout = CheckpointLayout::best_and_last},
                                  folder, hooks)
                               .run();
  const TestResult& test = *task.last_test_;
  summary.update(score_entries(task.sources_, test));
  summary.update({{"epochs", options.epochs},
                  {"best_acc1", run.clock.best},
                  {"best_epoch", run.clock.best_epoch},
                  {"skipped_steps", run.skipped_steps},
                  {"rollbacks", run.clock.rollbacks}});
  return report_test(folder.root, summary, test, task.sources_);
}

}  // namespace sgmae
