// The k-NN test of an encoder on a labelled data set, from files to a score.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "sgmae/base/options.h"
#include "sgmae/data/loader.h"
#include "sgmae/eval/knn.h"
#include "sgmae/nn/mae.h"

namespace sgmae {

enum class FeatureKind { cls, mean };
// automatic: squash where images have the model's size already, else the field's centre crop.
enum class EvalFit { automatic, centre_crop, squash };

struct KnnTask {
  std::string data_path, data_root;
  DataFormat data_format = DataFormat::automatic;  // of data_path
  std::string train_split = "train", test_split = "test";
  std::string train_list, test_list;  // list files in place of data_path and splits
  FeatureKind features = FeatureKind::mean;
  KnnOptions knn;
  EvalFit fit = EvalFit::automatic;
  std::int64_t batch_size = 256;
  int num_workers = 2;
  std::int64_t max_train = 0;  // training images used, drawn at random; 0: all

  void declare(Options& options);
};

struct KnnScore {
  KnnResult result;
  std::vector<std::string> class_names;
  std::int64_t train_images = 0, test_images = 0;
};

// `normalisation` is the one of the model's training. Throws Error(data) where there is no separate
// test part or no labels.
KnnScore run_knn(const Mae& model, const Normalisation& normalisation, const KnnTask& task);

nlohmann::ordered_json to_json(const KnnScore& score);

}  // namespace sgmae
