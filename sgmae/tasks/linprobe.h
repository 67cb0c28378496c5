// The linear probe: what a linear classifier can read from a frozen encoder.
//
// Either MAE's protocol (He et al. 2022, appendix A.1; method.md 2.4): batch norm and a linear
// layer, trained by LARS on augmented images; or, with cached_features, the same head fitted
// exactly to features of whole images that are computed once.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "sgmae/eval/features.h"
#include "sgmae/eval/linear_head.h"
#include "sgmae/tasks/classifier.h"

namespace sgmae {

struct LinprobeOptions : ClassifierOptions {
  std::string model;  // a name to hold the checkpoint against; "": any

  // [probe]
  bool global_pool = false;  // mean of the patch tokens in place of the class token, the default
  bool sync_bn = false;      // batch norm by the statistics of all processes' batches
  bool cached_features = false;
  double l2 = -1;  // of cached_features; negative: chosen on a held-out tenth

  FeatureKind features() const { return global_pool ? FeatureKind::mean : FeatureKind::cls; }

  LinprobeOptions();
  void declare(Options& options);
  void check() const;
};

// What the caller may add. Exceptions pass through linprobe() and end it as a crash would.
struct LinprobeHooks {
  // After step number `step` - 1 of `epoch`, from 0, of the head under training.
  std::function<void(std::int64_t epoch, std::int64_t step, const LinearHead& head)> after_step;
};

// Runs the probe and returns what result.json holds: "acc1", "acc5", "class_mean" of the last
// epoch, "best_acc1", "best_epoch" (epochs then finished), "classes", the tables of "test"
// (metrics.h) … Throws Error: usage, data, checkpoint (encoder damaged, features not finite),
// diverged, and interrupted after a SIGINT or SIGTERM, once the state after the last whole step is
// written.
nlohmann::ordered_json linprobe(LinprobeOptions options, const LinprobeHooks& hooks = {});

}  // namespace sgmae
