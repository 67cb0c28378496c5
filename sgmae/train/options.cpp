#include "sgmae/train/options.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <utility>

#include "sgmae/parallel/process_group.h"

namespace sgmae {

namespace fs = std::filesystem;

std::int64_t OptimOptions::images_per_step() const {
  return batch_size * accum_iter * processes().size();
}

double OptimOptions::warmup() const {
  if (warmup_epochs >= 0) return warmup_epochs;
  return usual_warmup * std::min(1.0, static_cast<double>(epochs) / usual_epochs);
}

void OptimOptions::declare(Options& o, const char* decayed) {
  o.section("optim");
  o.add("batch_size", batch_size, "images per forward pass of one process");
  // What must not change is the effective batch; the state of a run knows it.
  o.add("accum_iter", accum_iter,
        "forward passes per step of one process; the effective batch is their images times the "
        "processes")
      .may_change_on_resume();
  o.add("epochs", epochs, "passes over the training images");
  o.add("warmup_epochs", warmup_epochs,
        str("epochs of linearly rising learning rate; negative: ", usual_warmup, " of ",
            usual_epochs, " or more, and the same share of a shorter run"));
  o.add("blr", blr, "base learning rate: lr = blr * effective batch / 256");
  o.add("lr", lr, "learning rate after the warm-up; 0: from blr");
  o.add("min_lr", min_lr, "learning rate at the end");
  o.add("weight_decay", weight_decay, decayed);
  o.add("clip_grad", clip_grad, "largest gradient norm; 0: gradients are not clipped");
  o.add("exchange_precision", exchange_precision,
        {{"fp32", Precision::fp32}, {"bf16", Precision::bf16}},
        "in which several processes send each other gradients and sum them; bf16 halves what is "
        "sent, and rounds");
}

void OptimOptions::check() const {
  for (const auto& [name, count] :
       {std::pair{"batch_size", batch_size}, {"accum_iter", accum_iter}, {"epochs", epochs}})
    need(count >= 1 && count <= largest_count,
         str(name, " must be in 1 .. ", largest_count, ", but is ", count));
  need(lr >= 0, str("lr must not be negative, but is ", lr, "; 0 takes it from blr"));
  const double peak = peak_lr(*this);
  need(peak > 0 && peak <= std::numeric_limits<float>::max(),
       str("the learning rate must be a positive fp32 number, but is ", peak, "; set ",
           lr > 0 ? "--lr" : "--blr"));
  need(min_lr >= 0 && min_lr <= peak, str("min_lr must be in 0 .. ", peak, " (the peak), but is ",
                                          min_lr, "; raise --blr or lower --min_lr"));
  // What a step multiplies weights by must be a number of their type.
  need(weight_decay >= 0 && weight_decay <= std::numeric_limits<float>::max() &&
           weight_decay * peak <= std::numeric_limits<float>::max(),
       str("weight_decay must be 0 or a positive number that fits the learning rate of ", peak,
           ", but is ", weight_decay));
  need(clip_grad >= 0, str("clip_grad must not be negative, but is ", clip_grad));
}

double peak_lr(const OptimOptions& o) {
  return peak_lr(o.lr, o.blr, o.images_per_step());
}

Schedule schedule(const OptimOptions& o) {
  return {.peak_lr = peak_lr(o),
          .min_lr = o.min_lr,
          .warmup_epochs = o.warmup(),
          .epochs = static_cast<double>(o.epochs)};
}

void MemoryOptions::declare(Options& o) {
  o.section("memory");
  o.add("shard_optimizer", shard_optimizer,
        {{"auto", ShardOptimizer::automatic},
         {"true", ShardOptimizer::yes},
         {"false", ShardOptimizer::no}},
        "each of several processes keeps the optimizer's state of its part of the weights alone; "
        "auto: where they share the processors of one machine")
      .may_change_on_resume()
      .is_flag = true;
  o.add("checkpoint_activations", checkpoint_activations,
        "keep only what enters each block, and compute the block again in the backward pass")
      .alias("grad_checkpointing")
      .may_change_on_resume();
}

bool MemoryOptions::shards_optimizer(at::Device device) const {
  return shards_optimizer(device.is_cpu(), processes().size(), processes().on_one_machine());
}

bool MemoryOptions::shards_optimizer(bool on_cpu, std::int64_t processes,
                                     bool on_one_machine) const {
  if (shard_optimizer == ShardOptimizer::automatic)
    return on_cpu && processes > 1 && on_one_machine;
  return shard_optimizer == ShardOptimizer::yes;
}

void RunOptions::declare(Options& o, const char* evaluation, const char* meaning) {
  o.section("run");
  o.add("output_dir", output_dir,
        "run folder: configuration, logs, checkpoints, figures, results; empty: runs/NAME of the "
        "data, "
        "or of a checkpoint's run the folder in it that is called as the command is")
      .alias("job_dir")
      .may_change_on_resume();
  o.add("log_dir", log_dir, "folder of TensorBoard events; empty: the run folder")
      .may_change_on_resume();
  o.add(
       "resume", resume,
       "auto: resume the run in output_dir; none: never resume; a run folder, to go on in it with "
       "its own options; or, with an output_dir, a checkpoint or run to start from when that holds "
       "none yet")
      .may_change_on_resume();
  o.add("seed", seed, "seed of all random draws");
  OptionInfo& every = o.add(evaluation, eval_every, meaning).may_change_on_resume();
  if (every.name != "eval_every") every.alias("eval_every").alias("online_" + every.name);
  o.add("save_every", save_every, "epochs between checkpoints; the last epoch is always saved")
      .may_change_on_resume();
  o.add("keep_checkpoints", keep_checkpoints,
        "newest checkpoints to keep, beside the last from which training has gone on; 0: all")
      .may_change_on_resume();
  o.add("log_every", log_every, "batches between console lines").may_change_on_resume();
  o.add("outlier_z", outlier_z,
        "steps whose loss or gradient norm lies this many deviations above its recent values are "
        "skipped; 0: only non-finite ones");
  o.add("pin_mem", pin_mem, "keep batches in pinned memory, from which a GPU copies directly")
      .alias("data.pin_mem")
      .may_change_on_resume();
}

void RunOptions::check() const {
  need(eval_every >= 0, str("eval_every must not be negative, but is ", eval_every));
  need(save_every >= 1, str("save_every must be at least 1, not ", save_every));
  need(keep_checkpoints >= 0,
       str("keep_checkpoints must not be negative, but is ", keep_checkpoints));
  need(log_every >= 1, str("log_every must be at least 1, not ", log_every));
  need(outlier_z >= 0, str("outlier_z must not be negative, but is ", outlier_z));
}

std::string own_folder(const std::string& data_path) {
  fs::path path = fs::path(data_path).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // photos/
  std::string name = path.stem().string();
  if (name == "train" && path.has_parent_path()) name = path.parent_path().filename().string();
  if (name.empty() || name == "." || name == ".." || name == "/") name = "pretrain";
  return (fs::path("runs") / name).string();
}

std::string evaluation_folder(const std::string& output_dir, const std::string& checkpoint,
                              const std::string& command) {
  if (!output_dir.empty()) return output_dir;
  if (checkpoint.empty()) return (fs::path("runs") / command).string();
  fs::path folder = fs::path(checkpoint).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  if (!fs::is_directory(folder)) folder = folder.parent_path();
  if (folder.filename() == "checkpoints") folder = folder.parent_path();
  if (!fs::exists(folder / "config.toml")) folder = "runs";
  return (folder / command).string();
}

std::string options_difference(const Options& there, const Options& here,
                               const MayDiffer& may_differ) {
  for (const OptionInfo& option : here.all()) {
    if (may_differ(option)) continue;
    const auto other = std::find_if(there.all().begin(), there.all().end(),
                                    [&](const OptionInfo& o) { return o.name == option.name; });
    const std::string before = other == there.all().end() ? "" : other->print(),
                      now = option.print();
    if (before != now) return str(option.name, " is ", before, " there, ", now, " here");
  }
  return "";
}

}  // namespace sgmae
