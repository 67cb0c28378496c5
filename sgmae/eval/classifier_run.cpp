#include "sgmae/eval/classifier_run.h"

#include <system_error>

#include "sgmae/base/error.h"
#include "sgmae/base/file.h"
#include "sgmae/base/log.h"
#include "sgmae/data/mixup.h"
#include "sgmae/train/signals.h"

namespace sgmae {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

LabelledSources open_classes(const LabelledData& data, std::int64_t nb_classes) {
  LabelledSources sources = open_labelled(data);
  check(nb_classes == 0 || nb_classes == sources.classes, ExitCode::usage, "nb_classes is ",
        nb_classes, ", and the training images have ", sources.classes,
        " classes; leave --nb_classes out");
  return sources;
}

void check_model_name(const std::string& model, const VitConfig& encoder, const fs::path& path) {
  if (model.empty()) return;
  const MaeConfig named = named_config(model);
  check(named.encoder.dim == encoder.size.dim && named.encoder.depth == encoder.size.depth &&
            named.patch_size == encoder.patch_size,
        ExitCode::usage, path.string(), " is no ", model, ": its encoder is ", encoder.size.dim,
        " x ", encoder.size.depth, " with patch ", encoder.patch_size, "; leave --model out");
}

std::int64_t whole_steps(const Source& train, std::int64_t batch_size, std::int64_t accum_iter) {
  const std::int64_t steps = train.size() / batch_size / accum_iter;
  check(steps >= 1, ExitCode::usage, "there are ", train.size(),
        " training images, fewer than one step takes (batch_size ", batch_size, " x accum_iter ",
        accum_iter, "); lower --batch_size or --accum_iter");
  return steps;
}

LoaderOptions training_loader(const LabelledData& data, const VitConfig& config,
                              const Normalisation& normalisation, std::int64_t batch_size,
                              std::uint64_t seed) {
  LoaderOptions loader = model_loader(config, normalisation);
  loader.batch_size = batch_size;
  loader.num_workers = data.num_workers;
  loader.seed = seed;
  return loader;
}

RunFolder open_classifier_folder(const std::string& root, const std::string& resume,
                                 Options& stored, const Options& given,
                                 const std::function<bool(const OptionInfo&)>& may_change,
                                 const RunKind& kind) {
  RunFolder folder{root};
  folder.existed = fs::exists(folder.config());
  if (folder.existed) {
    check(resume != "none", ExitCode::usage, folder.root.string(),
          " holds a run already and resume is none; choose another --output_dir");
    check(read_text(folder.config()).find(kind.section) != std::string::npos, ExitCode::usage,
          folder.root.string(), " holds a run that is no ", kind.name,
          "; choose another --output_dir");
    const std::string other = config_difference(folder.config(), stored, given, may_change);
    check(other.empty(), ExitCode::usage, folder.root.string(), " holds a different ", kind.word,
          ": ", other, "; choose another --output_dir, or give the options of ",
          folder.config().string());
  }
  std::error_code error;
  fs::create_directories(folder.figures(), error);
  check(!error, ExitCode::usage, "cannot write to the folder ", folder.root.string(), ": ",
        error.message(), "; choose another with --output_dir");
  return folder;
}

TestResult test_classifier(const Source& source, const LoaderOptions& options, std::int64_t classes,
                           const ScoreBatch& scores) {
  Loader loader(source, options);
  loader.start_epoch(0);
  TestResult result{ClassificationCounts(classes)};
  for (Batch batch; loader.next(batch);) {
    if (stop_requested()) throw StopRequested();
    const at::Tensor found = scores(batch);
    result.counts.add(found, batch.label);
    result.loss += cross_entropy(found, batch.label);
  }
  result.loss /= static_cast<double>(result.counts.images());
  return result;
}

double cross_entropy(const at::Tensor& scores, const std::vector<std::int64_t>& labels) {
  return static_cast<double>(labels.size()) *
         soft_cross_entropy(scores, soft_targets(labels, scores.size(1), 1, 0), 1, nullptr)
             .item<double>();
}

ordered_json score_entries(const LabelledSources& sources, const ClassificationCounts& counts) {
  return {{"classes", sources.classes},
          {"train_images", sources.train->size()},
          {"test_images", sources.test->size()},
          {"acc1", counts.top1()},
          {"acc5", counts.top5()},
          {"class_mean", counts.class_mean()}};
}

ordered_json test_log_entries(const TestResult& test) {
  return {{"test_loss", test.loss},
          {"test_acc1", 100 * test.counts.top1()},
          {"test_acc5", 100 * test.counts.top5()},
          {"test_class_mean", 100 * test.counts.class_mean()}};
}

void log_epoch(const RunFolder& folder, EventWriter& events, std::int64_t epoch,
               const ordered_json& entries, std::initializer_list<const char*> tags) {
  append_log(folder.log(), entries);
  const std::int64_t x = 1000 * (epoch + 1);  // MAE's x axis
  for (const char* key : tags)
    if (entries.contains(key))
      events.scalar(std::string(key).starts_with("train") ? key : str("perf/", key),
                    entries[key].get<double>(), x);
  events.flush();
}

ordered_json report_test(const fs::path& folder, ordered_json result, const TestResult& test,
                         const LabelledSources& sources) {
  result["test"] = to_json(test.counts, sources.train->class_names());
  write_result(folder, result, test.counts);
  info("top-1 ", fixed(100 * test.counts.top1(), 2), " %, top-5 ",
       fixed(100 * test.counts.top5(), 2), " %, mean over classes ",
       fixed(100 * test.counts.class_mean(), 2), " % of ", test.counts.images(), " test images; ",
       (folder / "result.json").string());
  return result;
}

}  // namespace sgmae
