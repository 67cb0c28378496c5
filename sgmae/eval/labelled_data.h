// The two labelled parts of a data set that a classifier is trained and tested on.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "sgmae/base/options.h"
#include "sgmae/data/loader.h"
#include "sgmae/data/options.h"
#include "sgmae/nn/config.h"

namespace sgmae {

// automatic: squash where images have the model's size already, else the field's centre crop.
enum class EvalFit { automatic, centre_crop, squash };

struct LabelledData : DataOptions {
  std::string train_split = "train", test_split = "test";
  std::string train_list, test_list;  // list files in place of data_path and splits
  EvalFit fit = EvalFit::automatic;

  void declare(Options& options);  // section [data]
  using DataOptions::check;
};

struct LabelledSources {
  std::unique_ptr<Source> train, test;
  std::int64_t classes = 0;  // labels are 0 .. classes-1 in both parts
};

// Throws Error: usage where nothing is named; data where a part is missing, an image has no class,
// there are fewer than two classes, or the test part has a class that the training part lacks.
LabelledSources open_labelled(const LabelledData& data);

// A loader's options for images as the model takes them.
LoaderOptions model_loader(const VitConfig& config, const Normalisation& normalisation);

// How whole images are brought to the model's size: a choice, or the rule of EvalFit::automatic.
Fit choose_fit(EvalFit fit, const Source& source, const VitConfig& config);

// A loader's options for looking at whole images, in the source's order, none left out.
LoaderOptions evaluation_loader(const LabelledData& data, const Source& source,
                                const VitConfig& config, const Normalisation& normalisation,
                                std::int64_t batch_size);

}  // namespace sgmae
