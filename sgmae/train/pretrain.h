// Pre-training: a folder of images in, a trained masked autoencoder in a run folder out.
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
#include "sgmae/train/checkpoint.h"
#include "sgmae/train/options.h"
#include "sgmae/train/run_folder.h"

namespace sgmae {

struct PretrainProgress {
  std::int64_t epoch = 0;  // present one, from 0
  std::int64_t step = 0;   // finished within it
  double loss = 0;         // of the last step
};

// A model at rest between two steps, to be drawn or measured.
struct ModelView {
  const Mae& model;
  const ModelInfo& info;
  const PretrainOptions& options;
  const Source& source;
  const LoaderOptions& loader;  // of training; look at whole images with Fit::squash
  const RunFolder& folder;
};

// What the caller may add. Exceptions pass through pretrain() and end the run as a crash would.
struct PretrainHooks {
  std::set<std::int64_t> save_after;  // epochs finished, after which a checkpoint is due as well
  std::function<void(const PretrainProgress&)> after_step;
  // Every time a checkpoint was written to `path`: makes figures.
  std::function<void(const ModelView&, const std::filesystem::path& path)> after_save;
  // Before training and after every options.knn_every epochs and the last: entries for log.txt.
  std::function<nlohmann::ordered_json(const ModelView&)> evaluate;
};

struct PretrainResult {
  std::filesystem::path folder, checkpoint;
  double train_loss = 0;                    // mean over the last epoch
  std::optional<std::int64_t> guide_start;  // epoch in which guidance began
  std::string guide_reason;
  std::int64_t skipped_steps = 0, rollbacks = 0;
  double images_per_second = 0, data_wait = 0;  // of this process, over its epochs
};

// Trains to the last epoch, going on from the newest checkpoint of the run folder where there is
// one. Throws Error: usage (options, folder), data, checkpoint, diverged, and interrupted after a
// SIGINT or SIGTERM, once a checkpoint of the last whole step is written.
PretrainResult pretrain(PretrainOptions options, const PretrainHooks& hooks = {});

nlohmann::ordered_json to_json(const PretrainResult& result);

}  // namespace sgmae
