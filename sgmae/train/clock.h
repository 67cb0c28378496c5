// Where a training stands. Everything here is saved, so that a resumed run goes on exactly.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "sgmae/checkpoint/checkpoint_name.h"

namespace sgmae {

// Sums over the good steps of an epoch.
struct StepSums {
  double loss = 0, lr = 0, norm = 0;
  std::int64_t steps = 0;

  void add(double step_loss, double step_lr, double step_norm);
  // NaN of none.
  double mean(double sum) const { return sum / static_cast<double>(steps); }
};

struct TrainClock {
  std::int64_t steps_per_epoch = 1;
  std::int64_t epoch = 0, step = 0;  // epochs finished (and evaluated); steps of the next one
  std::int64_t total_steps = 0;      // applied or skipped, of the whole run
  std::int64_t rollbacks = 0;
  StepSums sums = {};           // of the present epoch
  double train_loss = 0;        // mean over the last whole epoch
  double best = -1;             // the highest EvaluationResult::value
  std::int64_t best_epoch = 0;  // epochs finished then

  // Epochs, with the present one's share.
  double progress() const {
    return static_cast<double>(epoch) +
           static_cast<double>(step) / static_cast<double>(steps_per_epoch);
  }
  CheckpointName name() const { return {epoch, step}; }
  void next_epoch();  // the sums begin anew

  nlohmann::json to_json() const;
  // What older runs did not write keeps its default; throws nlohmann::json::exception for what
  // every run wrote and is not there.
  static TrainClock from_json(const nlohmann::json& json, std::int64_t steps_per_epoch);
};

}  // namespace sgmae
