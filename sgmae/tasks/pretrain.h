// Pre-training: a folder of images in, a trained masked autoencoder in a run folder out; or, with
// method = moco_v3, an encoder (moco.h).
//
//   PretrainOptions options;
//   options.data_path = "images";
//   options.output_dir = "runs/first";
//   PretrainResult result = pretrain(options);
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "sgmae/data/loader.h"
#include "sgmae/nn/mae.h"
#include "sgmae/tasks/pretrain_options.h"
#include "sgmae/train/checkpoint.h"
#include "sgmae/train/engine.h"
#include "sgmae/train/run_folder.h"

namespace sgmae {

// A model at rest between two steps, to be drawn or measured.
struct ModelView {
  const Mae& model;
  const ModelInfo& info;
  const PretrainOptions& options;
  const Source& source;
  const LoaderOptions& loader;  // of training
  const RunFolder& folder;
  // The run's masks of a batch, as in the last of the finished epochs.
  std::function<MaskPlan(const Batch&)> masks;
};

// What the caller may add. Exceptions pass through pretrain() and end the run as a crash would.
struct PretrainHooks {
  std::set<std::int64_t> save_after;  // epochs finished, after which a checkpoint is due as well
  std::function<void(const StepDone&)> after_step;
  // Every time an autoencoder's checkpoint was written to `path`: makes figures.
  std::function<void(const ModelView&, const std::filesystem::path& path)> after_save;
};

struct PretrainResult {
  std::filesystem::path folder, checkpoint;
  double train_loss = 0;                    // mean over the last epoch
  std::optional<std::int64_t> guide_start;  // epoch in which guidance began
  std::string guide_reason;
  std::int64_t skipped_steps = 0, rollbacks = 0;
  double images_per_second = 0, data_wait = 0;      // of this process, over its epochs
  std::optional<double> knn_acc1_before, knn_acc1;  // 0 .. 1, where they were tested
  std::optional<double> knn_acc1_pixels;            // of the same neighbours without a model
};

// Trains to the last epoch, going on from the newest checkpoint of the run folder where there is
// one. Throws Error: usage (options, folder), data, checkpoint, diverged, and interrupted after a
// SIGINT or SIGTERM, once a checkpoint of the last whole step is written.
PretrainResult pretrain(const PretrainOptions& options, const PretrainHooks& hooks = {});

nlohmann::ordered_json to_json(const PretrainResult& result);

// The folder of such a run (train/run_folder.h).
RunFolder open_run_folder(const PretrainOptions& options);

}  // namespace sgmae
