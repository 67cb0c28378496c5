#include "sgmae/train/clock.h"

#include <limits>

#include "sgmae/base/json.h"

namespace sgmae {

void StepSums::add(double step_loss, double step_lr, double step_norm) {
  loss += step_loss;
  lr += step_lr;
  norm += step_norm;
  ++steps;
}

void TrainClock::next_epoch() {
  train_loss = sums.mean(sums.loss);
  ++epoch;
  step = 0;
  sums = {};
}

nlohmann::json TrainClock::to_json() const {
  return {{"epoch", epoch},
          {"step", step},
          {"steps_per_epoch", steps_per_epoch},
          {"total_steps", total_steps},
          {"rollbacks", rollbacks},
          {"loss_sum", sums.loss},
          {"lr_sum", sums.lr},
          {"norm_sum", sums.norm},
          {"good_steps", sums.steps},
          {"train_loss", train_loss},
          {"best", best},
          {"best_after", best_epoch}};
}

TrainClock TrainClock::from_json(const nlohmann::json& j, std::int64_t steps_per_epoch) {
  TrainClock clock{.steps_per_epoch = steps_per_epoch,
                   .epoch = j.at("epoch"),
                   .step = j.at("step"),
                   .rollbacks = j.at("rollbacks")};
  clock.total_steps = j.value("total_steps", clock.epoch * steps_per_epoch + clock.step);
  // A probe of an older version had no norms and left no step out.
  clock.sums = {.loss = json_number(j.at("loss_sum")),
                .lr = json_number(j.at("lr_sum")),
                .norm = j.contains("norm_sum") ? json_number(j["norm_sum"])
                                               : std::numeric_limits<double>::quiet_NaN(),
                .steps = j.value("good_steps", clock.step)};
  if (clock.sums.steps == 0) clock.sums = {};
  if (j.contains("train_loss")) clock.train_loss = json_number(j["train_loss"]);
  if (j.contains("best")) clock.best = json_number(j["best"]);
  // Older versions counted epochs from 0.
  clock.best_epoch = j.value("best_after", 1 + j.value("best_epoch", std::int64_t{-1}));
  return clock;
}

}  // namespace sgmae
