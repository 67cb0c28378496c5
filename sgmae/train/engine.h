// The training loop: load, forward and backward, guard, clip, step, tell, save, roll back, go on,
// stop. What is trained is a TrainTask.
//
//   PretrainTask task(options);
//   const EngineResult result = Engine(task, {options, folder, …}).run();
//
// A run that is stopped, or killed, and started again ends with the same bits as one that was not.
//
// Of several processes (parallel/process_group.h) each takes its share of a step's batches; then
// gradients, losses and wishes to stop are summed, and all do the same. Process 0 writes the folder
// and speaks.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "sgmae/data/loader.h"
#include "sgmae/io/tensorboard.h"
#include "sgmae/train/checkpoint_store.h"
#include "sgmae/train/console.h"
#include "sgmae/train/gradient_exchange.h"
#include "sgmae/train/guard.h"
#include "sgmae/train/options.h"
#include "sgmae/train/run_folder.h"
#include "sgmae/train/task.h"

namespace sgmae {

// What the caller may add. Exceptions pass through and end the run as a crash would.
struct EngineHooks {
  std::set<std::int64_t> save_after =
      {};  // epochs finished, after which a checkpoint is due as well
  std::function<void(const StepDone&)> after_step = {};
  // Every time a checkpoint was written to `path`, and when the run goes on from it, since what was
  // made of it then may not have been finished.
  std::function<void(const std::filesystem::path& path, const TrainClock&)> after_save = {};
};

struct EngineOptions {
  const OptimOptions& optim;
  const RunOptions& run;
  std::string config;  // config.toml
  std::string kind;    // RunKind::command
  CheckpointLayout layout;
  std::int64_t start_epoch = 0;  // when nothing is resumed
};

struct EngineResult {
  std::filesystem::path checkpoint;  // the last that was written
  TrainClock clock;
  std::int64_t skipped_steps = 0;
  std::optional<EvaluationResult> first, last;  // before training, and the latest; of this process
  double images_per_second = 0,
         data_wait = 0;  // of this process, over its epochs; data_wait 0 .. 1
};

// Whole steps of an epoch: images that do not fill a batch are left out, as MAE does, and batches
// that do not fill a step of all processes, so that every epoch begins with empty gradients. Throws
// Error(usage) where there is none.
std::int64_t whole_steps(std::int64_t images, const OptimOptions& options);

class Engine {
 public:
  // `folder` is open. All that is passed by reference must outlive the engine.
  Engine(TrainTask& task, EngineOptions options, RunFolder folder, const EngineHooks& hooks = {});

  // Trains to the last epoch, going on from where the folder stands. Throws Error: usage, data,
  // checkpoint, diverged, disk_full, and interrupted after one of StopSignals, once a checkpoint of
  // the last whole step is written; data that vanish in training also leave one.
  EngineResult run();

 private:
  // One step's losses and each learner's gradient norm, read from the device at once.
  struct Measured {
    // By forward pass (mean over the processes), by learner.
    std::vector<double> losses, norms;
    double loss() const;         // mean over forward passes
    double judged_norm() const;  // the model's, or one that is not finite
  };
  // What one process has to tell the others with a step.
  struct Told {
    std::vector<double> losses, norms;
    bool stop = false;              // it was asked to
    std::exception_ptr error = {};  // its images are gone
  };

  void begin();
  void restore(const std::filesystem::path& path);
  void run_epoch();
  bool train_epoch(EpochConsole& console);  // false when the weights are spoiled
  void take_step(EpochConsole& console);
  Measured accumulate_gradients();
  Told own_gradients(std::vector<at::Tensor>& losses);
  void agree(Told& told);
  bool stop_wanted() const;
  void apply(const Measured& measured, double progress);
  void finish_epoch(const EpochConsole& console);
  std::int64_t unreadable_images() const;  // distinct ones, found by any process
  void log_epoch(const nlohmann::ordered_json& entries);
  std::optional<EvaluationResult> evaluate(std::int64_t epochs);
  void check_alike() const;  // all processes train the same
  nlohmann::json facts_of_before() const;
  void check_same_steps(const nlohmann::json& before) const;
  void tell_longer(std::int64_t epochs_before);
  void tell_time_left();
  void save();
  void roll_back(const std::string& reason);
  [[noreturn]] void stop();
  [[noreturn]] void stop_without_data(const Error& error);
  void happened(const char* what,
                nlohmann::ordered_json details = nlohmann::ordered_json::object());
  std::string where() const;  // "after epoch 3 and 7 steps"
  std::int64_t event_x() const;
  std::int64_t parameter_count() const;
  nlohmann::ordered_json facts() const;
  nlohmann::ordered_json members() const;

  TrainTask& task_;
  const EngineOptions options_;
  const OptimOptions& optim_;
  const RunOptions& run_;
  const EngineHooks& hooks_;
  RunFolder folder_;
  CheckpointStore store_;
  StepGuard guard_;
  RollbackLimit rollback_limit_;
  std::optional<EventWriter> events_;  // of process 0
  TrainClock clock_;
  std::vector<GradientExchange> exchanges_;  // by learner; none in a process of its own
  bool all_stop_ = false;                    // agreed with the last step
  std::unique_ptr<Loader> loader_;  // made anew after a roll-back, with another order of images
  EngineResult result_;
  std::int64_t last_x_ = -1;     // of TensorBoard
  std::int64_t good_steps_ = 0;  // since the newest checkpoint
  std::int64_t images_trained_ = 0;
  bool told_time_left_ = false;
  double seconds_trained_ = 0, seconds_waited_ = 0;
};

}  // namespace sgmae
