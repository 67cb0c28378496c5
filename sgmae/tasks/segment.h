// Semantic segmentation: UperNet, or a linear layer, on a pre-trained encoder; the last column of
// the paper's Table 2 (method.md 8.2). And nearest neighbours of patches, which need no training. A
// run's folder holds, beside what every run leaves (train/run_folder.h):
//
//   checkpoint-best.safetensors   the model after its best epoch
//   checkpoint-last.safetensors   the same after the last, with .state.safetensors beside it
//   result.json                   the last test's numbers
//   figures/                      the best and worst images, confusion.png
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgmae/data/segmented_images.h"
#include "sgmae/eval/segment_photo.h"
#include "sgmae/parallel/launch_options.h"
#include "sgmae/segment/config.h"
#include "sgmae/tasks/fine_tuning.h"
#include "sgmae/train/compute.h"
#include "sgmae/train/engine.h"
#include "sgmae/train/options.h"

namespace sgmae {

enum class SegmentMethod { uper, linear, knn };

struct SegmentOptions : EncoderOptions, OptimOptions, RunOptions, ComputeOptions, MemoryOptions {
  // [model]
  std::int64_t input_size = 0;  // of crops and windows, in pixels; 0: the model's, else 512
  SegmentMethod head = SegmentMethod::uper;
  std::string taps;  // "3,5,7,11"; "": after a third, half, two thirds and all of the blocks
  bool relative_bias = true, layer_scale = true;
  double drop_path = 0.1;
  std::int64_t head_channels = 768;
  double head_dropout = 0.1;
  double auxiliary_weight = 0.4;
  std::int64_t auxiliary_channels = 256;

  SegmentedData data;

  double layer_decay = 0.65;  // [optim]

  // [augment]
  double jitter_min = 0.5, jitter_max = 2;
  double max_class_share = 0.75;
  bool flip = true, photometric = true;

  // [test]
  bool whole = false;
  std::int64_t stride = 0, windows = 1;
  std::string scales;
  bool test_flip = false;
  std::int64_t knn_k = 20, knn_patches = 100000;
  double knn_temperature = 0.07;

  bool eval = false;     // only test the model of `checkpoint`
  bool predict = false;  // only run it on the images that the command names
  LaunchOptions launch;

  SegmentOptions();
  void declare(Options& options);
  void check() const;
  // Of photos, by windows of that side. Throws Error(usage) where these would leave gaps.
  SegmentViews views(std::int64_t window) const;
};

// The model that a run with these options trains, for images of so many channels. Throws Error:
// usage, checkpoint.
SegmenterConfig segmenter_config(const SegmentOptions& options, std::int64_t classes,
                                 std::int64_t channels);

// Trains, or only tests with options.eval, or labels the pixels of `images` with options.predict;
// returns what result.json holds: "miou", "accuracy" …, "per_class". Throws Error: usage, data,
// checkpoint, diverged, and interrupted after a SIGINT or SIGTERM, once the state after the last
// whole step is written.
nlohmann::ordered_json segment(SegmentOptions options, const std::vector<std::string>& images = {},
                               const EngineHooks& hooks = {});

}  // namespace sgmae
