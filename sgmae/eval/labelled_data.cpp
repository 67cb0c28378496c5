#include "sgmae/eval/labelled_data.h"

#include <algorithm>
#include <vector>

namespace sgmae {
namespace {

void check_labelled(const Source& source, const char* part) {
  const auto& labels = source.labels();
  const auto found = std::find_if(labels.begin(), labels.end(), [](auto l) { return l < 0; });
  if (found == labels.end()) return;
  fail(ExitCode::data, "the ", part, " images include unlabelled ones, without a class, e.g. ",
       source.name(found - labels.begin()),
       "; sort them into one folder per class, or give labels in a list file");
}

}  // namespace

Fit choose_fit(EvalFit fit, const Source& source, const VitConfig& config) {
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

void LabelledData::declare(Options& o) {
  DataOptions::declare(o, "labelled images: folder with train/ and test/ (or val/), or IDX files");
  o.add("train_split", train_split, "part that is learned from: train, val or test");
  o.add("test_split", test_split, "part that is classified");
  o.add("train_list", train_list, "list file in place of data_path and train_split");
  o.add("test_list", test_list, "list file in place of data_path and test_split");
  o.add("fit", fit,
        {{"auto", EvalFit::automatic},
         {"centre_crop", EvalFit::centre_crop},
         {"squash", EvalFit::squash}},
        "how test images are brought to the model's size; auto: not at all where they have it, "
        "else centre_crop");
}

LabelledSources open_labelled(const LabelledData& data) {
  check(!data.data_path.empty() || (!data.train_list.empty() && !data.test_list.empty()),
        ExitCode::usage,
        "name labelled images with --data_path, or with --train_list and --test_list");
  const auto open = [&](const std::string& list, const std::string& split) {
    // With another split open_source() would look for a list beside this one.
    return list.empty() ? open_source(data.data_path, split, data.data_root, data.data_format)
                        : open_source(list, "train", data.data_root);
  };
  LabelledSources sources{open(data.train_list, data.train_split),
                          open(data.test_list, data.test_split)};
  check_labelled(*sources.train, "training");
  check_labelled(*sources.test, "test");
  if (!sources.train->class_names().empty()) sources.test->use_classes_of(*sources.train);

  const auto& labels = sources.train->labels();
  sources.classes = 1 + *std::max_element(labels.begin(), labels.end());
  check(sources.classes >= 2, ExitCode::data,
        "the training images all have one class, and there is nothing to tell apart; sort them "
        "into one folder per class");
  std::vector<bool> known(static_cast<std::size_t>(sources.classes));
  for (const std::int64_t label : labels) known[static_cast<std::size_t>(label)] = true;
  for (std::int64_t i = 0; i < sources.test->size(); ++i) {
    const std::int64_t label = sources.test->label(i);
    if (label < sources.classes && known[static_cast<std::size_t>(label)]) continue;
    fail(ExitCode::data, "the test image ", sources.test->name(i), " has class ", label,
         ", which no training image has; add some, or leave it out");
  }
  return sources;
}

LoaderOptions model_loader(const VitConfig& config, const Normalisation& normalisation) {
  LoaderOptions options;
  options.height = static_cast<int>(config.height);
  options.width = static_cast<int>(config.width);
  options.channels = static_cast<int>(config.channels);
  options.normalisation = normalisation;
  return options;
}

LoaderOptions evaluation_loader(const LabelledData& data, const Source& source,
                                const VitConfig& config, const Normalisation& normalisation,
                                std::int64_t batch_size) {
  check(batch_size >= 1, ExitCode::usage, "batch_size must be at least 1, not ", batch_size);
  LoaderOptions options = model_loader(config, normalisation);
  options.batch_size = batch_size;
  options.num_workers = data.num_workers;
  options.fit = choose_fit(data.fit, source, config);
  options.shuffle = false;
  options.drop_last = false;
  return options;
}

}  // namespace sgmae
