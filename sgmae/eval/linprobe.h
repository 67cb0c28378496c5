// The linear probe: what a linear classifier can read from a frozen encoder.
//
// Either MAE's protocol (He et al. 2022, appendix A.1; method.md 2.4): batch norm and a linear
// layer, trained by LARS on augmented images; or, with cached_features, the same head fitted
// exactly to features of whole images that are computed once.
//
//   config.toml, env.json, train.log   as in a pre-training run
//   log.txt                            one line an epoch, under MAE's keys
//   checkpoint-best.safetensors        encoder and head after the best epoch
//   checkpoint-last.safetensors        the same after the last, with .state.safetensors beside it
//   result.json, figures/confusion.png
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "sgmae/base/options.h"
#include "sgmae/eval/features.h"
#include "sgmae/eval/labelled_data.h"
#include "sgmae/eval/linear_head.h"
#include "sgmae/train/compute.h"
#include "sgmae/train/launch_options.h"

namespace sgmae {

struct LinprobeOptions {
  // [model]
  std::string checkpoint;       // run folder or model file
  std::string finetune;         // what MAE's script calls checkpoint
  std::string model;            // a name to hold the checkpoint against; "": any
  std::int64_t nb_classes = 0;  // likewise; 0: as many as the training images have

  LabelledData data;

  // [optim]
  std::int64_t batch_size = 512;  // images per forward pass
  std::int64_t accum_iter = 1;    // forward passes per step
  std::int64_t epochs = 90;
  double warmup_epochs = 10;
  double blr = 0.1;  // lr = blr * batch_size * accum_iter / 256
  double lr = 0;     // absolute learning rate; 0: from blr
  double min_lr = 0;
  double weight_decay = 0;

  // [probe]
  bool global_pool = false;  // mean of the patch tokens in place of the class token
  bool cls_token = false;    // the default, by MAE's flag
  bool cached_features = false;
  double l2 = -1;  // of cached_features; negative: chosen on a held-out tenth

  // [run]
  std::string output_dir = "./output_dir";
  std::string job_dir;          // what MAE's submitit script calls output_dir
  std::string log_dir;          // TensorBoard events; "": output_dir
  std::string resume = "auto";  // auto: go on if output_dir holds this run; none
  bool eval = false;            // only test the classifier of `checkpoint`
  std::uint64_t seed = 0;
  std::string device = "cpu";
  PrecisionChoice precision = PrecisionChoice::automatic;
  int threads = 0;
  std::int64_t log_every = 20;
  bool pin_mem = true;     // batches in page-locked memory, where a GPU computes
  bool dist_eval = false;  // accepted for MAE's sake
  LaunchOptions launch;

  FeatureKind features() const { return global_pool ? FeatureKind::mean : FeatureKind::cls; }
  void declare(Options& options);
};

// What the caller may add. Exceptions pass through linprobe() and end it as a crash would.
struct LinprobeHooks {
  // After step number `step` - 1 of `epoch`, from 0, of the head under training.
  std::function<void(std::int64_t epoch, std::int64_t step, const LinearHead& head)> after_step;
};

// Runs the probe and returns what result.json holds: "acc1", "acc5", "class_mean" of the last
// epoch, "best_acc1", "best_epoch" (from 0), "classes", the tables of "test" (metrics.h) … Throws
// Error: usage, data, checkpoint (encoder damaged, features not finite), diverged, and interrupted
// after a SIGINT or SIGTERM, once the state after the last whole step is written.
nlohmann::ordered_json linprobe(LinprobeOptions options, const LinprobeHooks& hooks = {});

}  // namespace sgmae
