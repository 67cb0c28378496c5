// Object detection and instance segmentation: a Mask R-CNN whose backbone is a pre-trained encoder,
// as ViTDet (Li et al. 2022) has it; Table 2 of the paper (method.md 8.1). A run's folder holds,
// beside what every run leaves (train/run_folder.h):
//
//   checkpoint-best.safetensors   the detector after its best epoch
//   checkpoint-last.safetensors   the same after the last, with .state.safetensors beside it
//   result.json                   the last test's numbers
//   detections.json               what it found in the test images, in COCO's format of results
//   figures/                      the best and worst images, with boxes
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgmae/data/annotated_images.h"
#include "sgmae/detect/config.h"
#include "sgmae/parallel/launch_options.h"
#include "sgmae/tasks/fine_tuning.h"
#include "sgmae/train/compute.h"
#include "sgmae/train/engine.h"
#include "sgmae/train/options.h"

namespace sgmae {

struct DetectOptions : EncoderOptions, OptimOptions, RunOptions, ComputeOptions, MemoryOptions {
  // [model]
  std::int64_t input_size = 0;  // of the square canvas, in pixels; 0: the detector's, else 1024
  std::int64_t window = 14;     // in patches
  std::string global_blocks;    // "2,5,8,11"; "": the last of every quarter
  double drop_path = 0.1;
  bool mask = true;  // with a mask head, where the data have outlines
  std::int64_t head_channels = 256, box_hidden = 1024;
  std::int64_t proposal_convs = 2, box_convs = 4, mask_convs = 4;
  double anchor_scale = 8;
  std::int64_t anchor_samples = 256, roi_samples = 512;

  AnnotatedData data;

  double layer_decay = 0.7;  // [optim]
  std::string lr_steps;      // "0.889,0.963": shares of the run; "": a cosine

  // [augment]
  double jitter_min = 0.1, jitter_max = 2;
  bool flip = true;

  // [test]
  double min_score = 0.05;
  double nms = 0.5;
  std::int64_t max_detections = 100;

  bool eval = false;     // only test the detector of `checkpoint`
  bool predict = false;  // only run it on the images that the command names
  LaunchOptions launch;

  DetectOptions();
  void declare(Options& options);
  void check() const;
};

// What is to be found; COCO's, where no data say.
struct ObjectClasses {
  std::int64_t count = 80;
  bool masks = true;  // outlines are known
  std::int64_t channels = 3;
};
ObjectClasses object_classes(const AnnotatedImages& data);
// The model that a run with these options trains. Throws Error: usage, checkpoint.
MaskRcnnConfig detector_config(const DetectOptions& options, const ObjectClasses& classes);

// Trains, or only tests with options.eval, or runs the detector on `images` with options.predict;
// returns what result.json holds: "box_ap", "box_ap50", … "mask_ap" …, "per_class". Throws Error:
// usage, data, checkpoint, diverged, and interrupted after a SIGINT or SIGTERM, once the state
// after the last whole step is written.
nlohmann::ordered_json detect(DetectOptions options, const std::vector<std::string>& images = {},
                              const EngineHooks& hooks = {});

}  // namespace sgmae
