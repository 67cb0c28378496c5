// Fine-tuning: a whole vision transformer trained to classify, from a pre-trained encoder or from
// scratch (MAE, He et al. 2022, appendix A.1 and its published command lines; method.md 2.5).
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "sgmae/nn/vit.h"
#include "sgmae/tasks/classifier.h"

namespace sgmae {

enum class MixMode { batch };
enum class EraseMode { pixel };

struct FinetuneOptions : ClassifierOptions, MemoryOptions {  // without a checkpoint: from scratch
  // [model]
  std::string model;            // "": the checkpoint's, else vit_base_patch16
  std::int64_t input_size = 0;  // 0: the checkpoint's, else 224
  std::int64_t patch_size = 0;  // this, the next two and open.heads from scratch; 0: by the name
  std::int64_t dim = 0, depth = 0;
  bool global_pool = true;  // mean of the patch tokens in place of the class token
  double drop_path = 0.1;

  double layer_decay = 0.75;  // [optim]

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

  FinetuneOptions();
  void declare(Options& options);
  void check() const;
};

// The classifier that is trained: the checkpoint's encoder, else what the options say.
VitConfig classifier_config(const FinetuneOptions& options,
                            const std::optional<Pretrained>& checkpoint, std::int64_t channels,
                            std::int64_t classes);

struct FinetuneHooks {
  // `step` of the model under training is finished.
  std::function<void(std::int64_t epoch, std::int64_t step, const Vit& model)> after_step;
};

// Trains, or only tests with options.eval, and returns what result.json holds: "acc1", "acc5",
// "class_mean" of the last epoch, "best_acc1", "best_epoch" (epochs then finished), "classes", the
// tables of "test" (metrics.h) … Throws Error: usage, data, checkpoint, diverged, and interrupted
// after a SIGINT or SIGTERM, once the state after the last whole step is written.
nlohmann::ordered_json finetune(FinetuneOptions options, const FinetuneHooks& hooks = {});

}  // namespace sgmae
