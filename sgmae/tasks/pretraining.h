// What the two methods of pre-training share (pretrain.cpp, moco.cpp).
#pragma once

#include <optional>
#include <string>

#include "sgmae/tasks/pretrain.h"

namespace sgmae {

// Of training: MAE's crops and flips, normalised as the options say or, where they do not, as the
// model `init` was trained, if it fits; else as usual or, for values as stored, as measured on some
// of the images, which is said.
LoaderOptions pretraining_loader(const PretrainOptions& options, const Encoder& encoder,
                                 const Source& source, const ModelFile* init = nullptr);

// k-NN on the data set's own test part: the weighted vote, on the patches' mean and on the class
// token; and once that of raw pixels, without a model.
class NeighbourTest {
 public:
  explicit NeighbourTest(const PretrainOptions& options) : options_(options) {}

  EvaluationResult test(const Encoder& encoder, const Normalisation& normalisation);
  std::optional<double> pixels_acc1() const { return pixels_acc1_; }

 private:
  const PretrainOptions& options_;
  bool pixels_compared_ = false;  // once is enough: they do not learn
  std::optional<double> pixels_acc1_;
};

// Trains the task in the folder of such a run. The result lacks what only the task knows.
PretrainResult run_pretraining(TrainTask& task, const PretrainOptions& options,
                               const EngineHooks& hooks);

}  // namespace sgmae
