// The two labelled parts of a data set that a classifier is trained and tested on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "sgmae/base/options.h"
#include "sgmae/data/loader.h"
#include "sgmae/data/options.h"
#include "sgmae/nn/config.h"

namespace sgmae {

// How whole images are brought to a model's size, as options and embeddings spell it.
inline const Options::Names<Fit> fit_names{
    {"auto", Fit::automatic}, {"centre_crop", Fit::centre_crop}, {"squash", Fit::squash}};

struct LabelledData : DataOptions {
  std::string train_split = "train", test_split = "test";
  std::string train_list, test_list;  // list files in place of data_path and splits
  Fit fit = Fit::automatic;

  void declare(Options& options);  // section [data]
  using DataOptions::check;
  // The same, read as the images were that a model was trained on.
  LabelledData read_as(const Normalisation& trained) const;
};

struct LabelledSources {
  std::unique_ptr<Source> train, test;   // train: null where open_tested() did without
  std::int64_t classes = 0;              // labels are 0 .. classes-1 in both parts
  std::vector<std::string> class_names;  // in the order of labels; empty where unknown
};

// Throws Error: usage where nothing is named; data where a part is missing, an image has no class,
// there are fewer than two classes, or the test part has a class that the training part lacks.
LabelledSources open_labelled(const LabelledData& data);

// What a trained classifier, read from `file`, says of its classes.
struct TrainedClasses {
  std::filesystem::path file;
  std::int64_t count = 0;
  std::vector<std::string> names = {};  // empty: unknown
};

// The test part, to test a trained classifier on. Labels are numbered by the classifier's own class
// names; where it has none, as the training part's; where there is no training part either, by the
// test part's own classes, which must then be as many as the classifier has. Throws Error: usage
// and data as open_labelled(); checkpoint for a classifier of other classes.
LabelledSources open_tested(const LabelledData& data, const TrainedClasses& classes);

// "" or, to follow a number of images, " (2 unreadable images left out)".
std::string left_out_note(std::int64_t unreadable);

// A loader's options for images as the model takes them. Throws Error(usage) for a model that takes
// other than grey or colour images and not values as stored.
LoaderOptions model_loader(const VitConfig& config, const Normalisation& normalisation);

// whole_images() of `source`, brought to the model's size as data.fit says.
LoaderOptions evaluation_loader(const LabelledData& data, const Source& source,
                                const VitConfig& config, const Normalisation& normalisation,
                                std::int64_t batch_size);

}  // namespace sgmae
