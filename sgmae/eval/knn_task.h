// The k-NN test of an encoder on a labelled data set, from files to a score.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sgmae/base/options.h"
#include "sgmae/eval/features.h"
#include "sgmae/eval/knn.h"
#include "sgmae/eval/labelled_data.h"
#include "sgmae/image/image.h"
#include "sgmae/nn/encoder.h"

namespace sgmae {

struct KnnTask {
  LabelledData data;
  std::int64_t batch_size = 256;
  std::int64_t max_train = 0;                // training images used, drawn at random; 0: all
  FeatureKind features = FeatureKind::mean;  // of the score that stands for the others
  KnnOptions knn;
  // Neighbours of further tests in which all votes weigh alike; more than there are images: left
  // out.
  std::string plain_k = "1,5,10,20";
  std::int64_t pictures = 8;  // test images, drawn at random, that are shown with their neighbours

  void declare(Options& options);
  void check() const;  // throws Error(usage)
};

// One row of the table: the features and votes, and what came out.
struct KnnRow {
  FeatureKind features;
  KnnOptions votes;
  ClassificationCounts counts;
};

struct KnnScore {
  std::vector<KnnRow> rows;  // by features: the weighted vote, then the plain ones
  std::size_t chosen = 0;    // the row with the task's features and weighted vote
  std::vector<std::string> class_names;
  std::int64_t train_images = 0, test_images = 0;  // that could be read
  std::int64_t unreadable_train_images = 0, unreadable_test_images = 0;
  Image neighbours;  // process 0's: test images beside their neighbours; empty for none

  const ClassificationCounts& counts() const { return rows[chosen].counts; }
};

// From features that exist already; `task.data` is not looked at.
KnnScore score_knn(const Features& train, const Features& test, std::int64_t classes,
                   const KnnTask& task);

// `normalisation` is the one of the model's training. Throws Error(data) where there is no separate
// test part or no labels.
KnnScore run_knn(const Encoder& encoder, const Normalisation& normalisation, const KnnTask& task);

// The task's weighted vote without a model, by the cosine of the images' pixels, normalised and
// brought to the model's size: the neighbours that an encoder has to beat. None where the training
// images' pixels take more than 1 GiB. All vote where there are fewer than k. Throws as run_knn().
std::optional<double> pixel_knn_acc1(const VitConfig& config, const Normalisation& normalisation,
                                     const KnnTask& task);

// {"knn_acc1", "knn_class_mean", "train_images", "unreadable_train_images", "test_images",
// "unreadable_test_images", "table": [{"features", "k", "temperature", "acc1", "acc5",
// "class_mean"}, …], "test": to_json of the chosen counts}
nlohmann::ordered_json to_json(const KnnScore& score);

}  // namespace sgmae
