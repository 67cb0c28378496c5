// Fine-tuning: a whole vision transformer trained to classify, from a pre-trained encoder or from
// scratch (MAE, He et al. 2022, appendix A.1 and its published command lines; method.md 2.5).
//
//   config.toml, env.json, train.log   as in a pre-training run
//   log.txt                            one line an epoch, under MAE's keys
//   checkpoint-best.safetensors        the classifier after its best epoch
//   checkpoint-last.safetensors        the same after the last, with .state.safetensors beside it
//   result.json, figures/confusion.png
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "sgmae/base/options.h"
#include "sgmae/eval/labelled_data.h"
#include "sgmae/nn/vit.h"
#include "sgmae/train/compute.h"
#include "sgmae/train/launch_options.h"

namespace sgmae {

enum class MixMode { batch };
enum class EraseMode { pixel };

struct FinetuneOptions {
  // [model]
  std::string checkpoint;       // to begin from; "": from scratch
  std::string finetune;         // what MAE's script calls checkpoint
  std::string model;            // "": the checkpoint's, else vit_base_patch16
  std::int64_t input_size = 0;  // 0: the checkpoint's, else 224
  std::int64_t patch_size = 0;  // this and the next three from scratch; 0: by the model's name
  std::int64_t dim = 0, depth = 0, heads = 0;
  std::int64_t nb_classes = 0;  // 0: as many as the training images have
  bool global_pool = true;      // mean of the patch tokens in place of the class token
  bool cls_token = false;       // the class token, by MAE's flag
  double drop_path = 0.1;

  LabelledData data;

  // [optim]
  std::int64_t batch_size = 64;  // images per forward pass
  std::int64_t accum_iter = 1;   // forward passes per step
  std::int64_t epochs = 50;
  double warmup_epochs = 5;
  double blr = 1e-3;  // lr = blr * batch_size * accum_iter / 256
  double lr = 0;      // absolute learning rate; 0: from blr
  double min_lr = 1e-6;
  double weight_decay = 0.05;
  double layer_decay = 0.75;
  double clip_grad = 0;  // largest gradient norm; 0: no clipping

  // [augment]
  std::string aa = "rand-m9-mstd0.5-inc1";
  double smoothing = 0.1;
  double reprob = 0.25;
  EraseMode remode = EraseMode::pixel;
  double mixup = 0, cutmix = 0;
  double mixup_prob = 1, mixup_switch_prob = 0.5;
  MixMode mixup_mode = MixMode::batch;
  double crop_min = 0.08;  // smallest share of an image's area in a crop
  bool flip = true;

  // [run]
  std::string output_dir = "./output_dir";
  std::string job_dir;          // what MAE's submitit script calls output_dir
  std::string log_dir;          // TensorBoard events; "": output_dir
  std::string resume = "auto";  // auto: go on if output_dir holds this run; none
  bool eval = false;            // only test the classifier of `checkpoint`
  std::int64_t eval_every = 1;  // epochs between tests; the last is always tested
  std::uint64_t seed = 0;
  std::string device = "cpu";
  PrecisionChoice precision = PrecisionChoice::automatic;
  int threads = 0;
  std::int64_t log_every = 20;

  bool pin_mem = true;     // batches in page-locked memory, where a GPU computes
  bool dist_eval = false;  // accepted for MAE's sake
  LaunchOptions launch;

  void declare(Options& options);
};

struct FinetuneHooks {
  // `step` of the model under training is finished.
  std::function<void(std::int64_t epoch, std::int64_t step, const Vit& model)> after_step;
};

// Trains, or only tests with options.eval, and returns what result.json holds: "acc1", "acc5",
// "class_mean" of the last epoch, "best_acc1", "best_epoch" (from 0), "classes", the tables of
// "test" (metrics.h) … Throws Error: usage, data, checkpoint, diverged, and interrupted after a
// SIGINT or SIGTERM, once the state after the last whole step is written.
nlohmann::ordered_json finetune(FinetuneOptions options, const FinetuneHooks& hooks = {});

}  // namespace sgmae
