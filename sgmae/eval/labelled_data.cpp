#include "sgmae/eval/labelled_data.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "sgmae/base/counted.h"
#include "sgmae/base/log.h"

namespace sgmae {
namespace {

void check_labelled(const Source& source, const char* part) {
  const auto& labels = source.labels();
  const auto found = std::find_if(labels.begin(), labels.end(), [](auto l) { return l < 0; });
  if (found == labels.end()) return;
  fail(ExitCode::data, "some ", part, " images have no label, e.g. ",
       source.name(found - labels.begin()),
       "; sort them into one folder per class, or give labels in a list file");
}

// A part of the data. With another split open_source() would look for a list beside this one.
std::unique_ptr<Source> open_part(const LabelledData& data, const std::string& list,
                                  const std::string& split) {
  if (!list.empty()) return open_source(list, "train", data.data_root, data.data_format.keys());
  try {
    return open_source(data.data_path, split, data.data_root, data.data_format);
  } catch (const Error& error) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(data.data_path, ignored) || split == "train") throw;
    fail(error.code(), error.what(), ", or name both files: --train_list and --test_list");
  }
}

// Whether what was opened for training is all that is there, the test part with it: a data set that
// has no training part.
bool holds(const Source& train, const Source& test) {
  const std::string name = test.name(0);
  for (std::int64_t i = 0; i < train.size(); ++i)
    if (train.name(i) == name) return true;
  return false;
}

std::string no_training_part(const LabelledData& data) {
  return str(data.data_path, " has a part for '", data.test_split,
             "' but no training part; expected a folder ", data.data_path, "/", data.train_split);
}

// Numbers the test part's classes as the training part's.
void use_training_classes(const LabelledData& data, const Source& train, Source& test) {
  if (train.class_names().empty()) return;
  try {
    test.use_classes(train.class_names());
  } catch (const Error&) {
    check(!data.train_list.empty() || !holds(train, test), ExitCode::data, no_training_part(data));
    throw;
  }
}

std::int64_t count_classes(const Source& source) {
  return 1 + *std::max_element(source.labels().begin(), source.labels().end());
}

// The training part, where there is one whose classes number those of `test`.
std::unique_ptr<Source> training_part(const LabelledData& data, Source& test) {
  if (data.data_path.empty() && data.train_list.empty()) return nullptr;
  try {
    std::unique_ptr<Source> train = open_part(data, data.train_list, data.train_split);
    if (train->class_names().empty()) return train;
    if (data.train_list.empty() && holds(*train, test)) return nullptr;
    test.use_classes(train->class_names());
    return train;
  } catch (const Error& error) {
    if (error.code() != ExitCode::data || !data.train_list.empty()) throw;
    return nullptr;
  }
}

}  // namespace

std::string left_out_note(std::int64_t unreadable) {
  if (unreadable == 0) return "";
  return str(" (", counted(unreadable, "unreadable image"), " left out)");
}

void LabelledData::declare(Options& o) {
  DataOptions::declare(o, "labelled images: folder with train/ and test/ (or val/), or IDX files");
  o.add("train_split", train_split, "split to train on: train, val or test");
  o.add("test_split", test_split, "split to test on");
  o.add("train_list", train_list, "list file in place of data_path and train_split");
  o.add("test_list", test_list, "list file in place of data_path and test_split");
  o.add("fit", fit, fit_names,
        "how test images are brought to the model's size; auto: unchanged where they "
        "already have it, else centre_crop");
}

LabelledData LabelledData::read_as(const Normalisation& trained) const {
  LabelledData same = *this;
  same.data_format = data_format.read_as(trained);
  return same;
}

LabelledSources open_labelled(const LabelledData& data) {
  check(!data.data_path.empty() || (!data.train_list.empty() && !data.test_list.empty()),
        ExitCode::usage,
        "name labelled images with --data_path, or with --train_list and --test_list");
  LabelledSources sources;
  sources.train = open_part(data, data.train_list, data.train_split);
  sources.test = open_part(data, data.test_list, data.test_split);
  check_labelled(*sources.train, "training");
  check_labelled(*sources.test, "test");
  use_training_classes(data, *sources.train, *sources.test);

  const auto& labels = sources.train->labels();
  sources.classes = count_classes(*sources.train);
  sources.class_names = sources.train->class_names();
  check(sources.classes >= 2, ExitCode::data,
        "the training images all have one class, so there is nothing to classify; sort them "
        "into one folder per class");
  std::vector<bool> known(static_cast<std::size_t>(sources.classes));
  for (const std::int64_t label : labels) known[static_cast<std::size_t>(label)] = true;
  for (std::int64_t i = 0; i < sources.test->size(); ++i) {
    const std::int64_t label = sources.test->label(i);
    if (label < sources.classes && known[static_cast<std::size_t>(label)]) continue;
    fail(
        ExitCode::data, "the test image ", sources.test->name(i), " has class ", label,
        ", which no training image has; add training images of that class, or leave the image out");
  }
  return sources;
}

LabelledSources open_tested(const LabelledData& data, const TrainedClasses& classes) {
  check(!data.data_path.empty() || !data.test_list.empty(), ExitCode::usage,
        "name labelled images with --data_path or --test_list");
  LabelledSources sources{.train = nullptr,
                          .test = open_part(data, data.test_list, data.test_split),
                          .classes = classes.count,
                          .class_names = classes.names};
  check_labelled(*sources.test, "test");
  const std::string file = classes.file.string();
  if (!classes.names.empty()) {
    for (const std::string& name : sources.test->class_names())
      check(std::find(classes.names.begin(), classes.names.end(), name) != classes.names.end(),
            ExitCode::checkpoint, file, ": was trained on other classes; '", name,
            "' of the test images is not among them");
    sources.test->use_classes(classes.names);
  } else {
    sources.train = training_part(data, *sources.test);
    const Source& numbering = sources.train ? *sources.train : *sources.test;
    const std::int64_t found = count_classes(numbering);
    check(found == classes.count, sources.train ? ExitCode::checkpoint : ExitCode::data, file,
          ": has ", classes.count, " classes, and the ",
          sources.train ? "data set" : "test part of the data set", " has ", found,
          sources.train ? "; use the data set it was trained on"
                        : "; without their names in the file or a training part (train/) beside "
                          "the test images they cannot be matched");
    sources.class_names = numbering.class_names();
    if (!sources.train)
      info(file, " does not name its ", classes.count,
           " classes, and there is no training part; they are taken in the order of the test part");
  }
  const std::int64_t highest = count_classes(*sources.test);
  check(highest <= classes.count, ExitCode::checkpoint, file, ": has ", classes.count,
        " classes, and the test images have ", highest);
  return sources;
}

LoaderOptions model_loader(const VitConfig& config, const Normalisation& normalisation) {
  check(normalisation.stored || config.channels == 1 || config.channels == 3, ExitCode::usage,
        "the model takes images of ", config.channels,
        " channels, and 8-bit images are read with 1 or 3; give images of such channels "
        "(docs/channels.md), or use sgmae forward with a file of pixels");
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
  LoaderOptions options = whole_images(model_loader(config, normalisation));
  options.batch_size = batch_size;
  options.num_workers = data.num_workers;
  options.fit = data.fit;
  return options;
}

}  // namespace sgmae
