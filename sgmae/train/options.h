// Options that every training has, in groups: declared once, checked once. A task's own options are
// a struct that inherits the groups it uses and sets its defaults.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <string>

#include "sgmae/base/options.h"
#include "sgmae/nn/config.h"
#include "sgmae/optim/schedule.h"

namespace sgmae {

// Throws Error(usage) with `message` unless `fits`.
inline void need(bool fits, const std::string& message) {
  check(fits, ExitCode::usage, message);
}

// Counts beyond any that a run could have are refused, so that their products fit their type.
inline constexpr std::int64_t largest_count = 1 << 30;

// Section [optim]. Names and meanings are MAE's.
struct OptimOptions {
  std::int64_t batch_size = 64;  // images per forward pass
  std::int64_t accum_iter = 1;   // forward passes per step
  std::int64_t epochs = 400;
  double warmup_epochs = -1;  // negative: usual_warmup, or its share of a shorter run
  double blr = 1e-3;          // lr = blr * images_per_step() / 256
  double lr = 0;              // absolute learning rate; 0: from blr
  double min_lr = 0;
  double weight_decay = 0.05;
  double clip_grad = 0;                            // largest gradient norm; 0: no clipping
  Precision exchange_precision = Precision::fp32;  // of gradients on their way between processes

  // Of the published run.
  double usual_epochs = 400, usual_warmup = 40;

  // The effective batch, over all processes.
  std::int64_t images_per_step() const;
  double warmup() const;  // epochs

 protected:
  // `decayed` says what weight decay is of. Throws Error(usage) for values that no training could
  // have.
  void declare(Options& options, const char* decayed);
  void check() const;
};

enum class ShardOptimizer { automatic, yes, no };

// Section [memory]: what a process does without in training. Results stay the same, but for the
// last digits of gradient norms.
struct MemoryOptions {
  ShardOptimizer shard_optimizer = ShardOptimizer::automatic;
  bool checkpoint_activations = false;

  // Automatically where it costs nothing: among processes of one machine that train on its
  // processors, and so have values and gradients in common memory (GradientExchange).
  bool shards_optimizer(at::Device device) const;
  // The same of processes that are not there yet.
  bool shards_optimizer(bool on_cpu, std::int64_t processes, bool on_one_machine) const;

 protected:
  void declare(Options& options);
};

// lr, or blr * effective batch / 256; and the schedule with that peak.
double peak_lr(const OptimOptions& options);
Schedule schedule(const OptimOptions& options);

// Section [run]: where a run lives, what is kept of it and what is told.
struct RunOptions {
  std::string output_dir;       // "": chosen by the command (own_folder, evaluation_folder)
  std::string log_dir;          // TensorBoard events; "": output_dir
  std::string resume = "auto";  // auto: go on if output_dir holds this run; none; or a path
  std::uint64_t seed = 0;
  std::int64_t eval_every = 1;        // epochs between evaluations; 0: never
  std::int64_t save_every = 1;        // epochs between checkpoints; the last is always saved
  std::int64_t keep_checkpoints = 1;  // newest ones kept; 0: all
  std::int64_t log_every = 20;        // batches between console lines
  double outlier_z = 0;               // StepGuard
  bool pin_mem = true;                // batches in page-locked memory, where a GPU computes

 protected:
  // `evaluation` is the name of eval_every (or eval_every an alias, as online_`evaluation` is) and
  // `meaning` its help.
  void declare(Options& options, const char* evaluation, const char* meaning);
  void check() const;
};

// Where runs go that are not told where: of pre-training on `data_path`, runs/NAME with NAME from
// the path.
std::string own_folder(const std::string& data_path);
// Of what `command` does with a checkpoint: `output_dir`, or where that is empty a folder called as
// the command in the checkpoint's run, so that it is on that run's page; runs/COMMAND where there
// is no run, or no checkpoint.
std::string evaluation_folder(const std::string& output_dir, const std::string& checkpoint,
                              const std::string& command);

// Declares two copies of an option struct and compares them; what `may_differ` accepts is left out.
// "epochs is 100 there, 200 here", or "" when there is no difference.
using MayDiffer = std::function<bool(const OptionInfo&)>;
std::string options_difference(const Options& there, const Options& here,
                               const MayDiffer& may_differ);

// Members of `options` under their names. `options` must outlive the result.
template <class O>
Options declared(O& options) {
  Options result;
  options.declare(result);
  return result;
}

// The same for what is only read: a declaration can print, and assigning to it changes a copy.
template <class O>
std::string toml_of(O options) {
  return declared(options).to_toml();
}

}  // namespace sgmae
