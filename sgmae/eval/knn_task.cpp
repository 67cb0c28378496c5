#include "sgmae/eval/knn_task.h"

#include <algorithm>
#include <cmath>

#include "sgmae/eval/features.h"

namespace sgmae {
namespace {

Fit choose_fit(EvalFit fit, const Source& source, const MaeConfig& config) {
  if (fit != EvalFit::automatic) return fit == EvalFit::squash ? Fit::squash : Fit::centre_crop;
  OpenedImage first;
  try {
    source.open(0, first);
  } catch (const Error&) {  // unreadable: the loader will say so
    return Fit::centre_crop;
  }
  const bool same = first.size.height == config.height && first.size.width == config.width;
  return same ? Fit::squash : Fit::centre_crop;
}

std::vector<std::int64_t> draw(std::int64_t images, std::int64_t count) {
  if (count <= 0 || count >= images) return {};
  Rng rng(0, 0, 0, Purpose::probe);
  std::vector<std::int64_t> chosen = rng.permutation(images);
  chosen.resize(static_cast<std::size_t>(count));
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

Features features_of(const Mae& model, const Source& source, const Normalisation& normalisation,
                     const KnnTask& task, std::vector<std::int64_t> subset) {
  const MaeConfig& config = model.config();
  LoaderOptions options;
  options.batch_size = task.batch_size;
  options.num_workers = task.num_workers;
  options.height = static_cast<int>(config.height);
  options.width = static_cast<int>(config.width);
  options.channels = static_cast<int>(config.channels);
  options.normalisation = normalisation;
  options.fit = choose_fit(task.fit, source, config);
  options.shuffle = false;
  options.drop_last = false;
  options.subset = std::move(subset);
  Loader loader(source, options);
  loader.start_epoch(0);
  return extract_features(model, [&](Batch& batch) { return loader.next(batch); });
}

}  // namespace

void KnnTask::declare(Options& o) {
  o.section("data");
  o.add("data_path", data_path,
        "labelled images: folder with train/ and test/ (or val/), or IDX files");
  declare_data_format(o, data_format);
  o.add("data_root", data_root,
        "what paths in a list file are relative to; empty: the list's folder");
  o.add("train_split", train_split, "part that the neighbours come from: train, val or test");
  o.add("test_split", test_split, "part that is classified");
  o.add("train_list", train_list, "list file in place of data_path and train_split");
  o.add("test_list", test_list, "list file in place of data_path and test_split");
  o.add("batch_size", batch_size, "images per forward pass");
  o.add("num_workers", num_workers, "threads that decode images");
  o.add("max_train", max_train, "training images to use, drawn at random; 0: all");
  o.add("fit", fit,
        {{"auto", EvalFit::automatic},
         {"centre_crop", EvalFit::centre_crop},
         {"squash", EvalFit::squash}},
        "how images are brought to the model's size; auto: not at all where they have it, else "
        "centre_crop");
  o.section("knn");
  o.add("features", features, {{"mean", FeatureKind::mean}, {"cls", FeatureKind::cls}},
        "mean of the patch tokens, or the class token");
  o.add("k", knn.k, "neighbours that vote");
  o.add("temperature", knn.temperature,
        "a vote weighs exp(cosine / temperature); 0: all weigh the same");
}

KnnScore run_knn(const Mae& model, const Normalisation& normalisation, const KnnTask& task) {
  check(!task.data_path.empty() || (!task.train_list.empty() && !task.test_list.empty()),
        ExitCode::usage,
        "name labelled images with --data_path, or with --train_list and --test_list");
  check(task.batch_size >= 1, ExitCode::usage, "batch_size must be at least 1");
  const auto open = [&](const std::string& list, const std::string& split) {
    if (!list.empty()) return open_source(list, split, task.data_root);
    return open_source(task.data_path, split, task.data_root, task.data_format);
  };
  const auto train = open(task.train_list, task.train_split);
  const auto test = open(task.test_list, task.test_split);
  if (!train->class_names().empty()) test->use_classes_of(*train);

  const Features keys =
      features_of(model, *train, normalisation, task, draw(train->size(), task.max_train));
  const Features queries = features_of(model, *test, normalisation, task, {});
  const auto pick = [&](const Features& f) {
    return task.features == FeatureKind::cls ? f.cls : f.mean;
  };
  return {.result = knn_classify(pick(keys), keys.label, pick(queries), queries.label, task.knn),
          .class_names = train->class_names(),
          .train_images = static_cast<std::int64_t>(keys.label.size()),
          .test_images = static_cast<std::int64_t>(queries.label.size())};
}

nlohmann::ordered_json to_json(const KnnScore& score) {
  nlohmann::ordered_json per_class = nlohmann::ordered_json::object();
  for (std::size_t c = 0; c < score.result.per_class.size(); ++c) {
    const double accuracy = score.result.per_class[c];
    const std::string name =
        c < score.class_names.size() ? score.class_names[c] : std::to_string(c);
    if (!std::isnan(accuracy)) per_class[name] = accuracy;
  }
  return {{"knn_acc1", score.result.accuracy},
          {"knn_class_mean", score.result.class_mean},
          {"train_images", score.train_images},
          {"test_images", score.test_images},
          {"per_class", per_class}};
}

}  // namespace sgmae
