// What the training of an encoder with something on top will take, as train/estimate.h has it of
// the autoencoder: formulas alone, derived from what the layers keep.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sgmae/contrast/moco.h"
#include "sgmae/dense/model_parts.h"
#include "sgmae/detect/config.h"
#include "sgmae/segment/config.h"
#include "sgmae/tasks/expectation.h"
#include "sgmae/train/estimate.h"

namespace sgmae {

// Detectors and segmentation models: images are taken to fill canvas or crop, and to have as many
// objects as are drawn at most; most take less.
struct TrainingEstimate {
  std::vector<ModelPart> parts;
  MemoryEstimate memory;  // of one process; without what the data set itself takes
  // Floating-point operations of a pass over one image, forward and backward (train/flops.h).
  double encoder_flop = 0, head_flop = 0;
};
TrainingEstimate estimate_training(const VitConfig& classifier, const TrainingRun& run);
TrainingEstimate estimate_training(const MaskRcnnConfig& model, const TrainingRun& run);
TrainingEstimate estimate_training(const SegmenterConfig& model, const TrainingRun& run);
TrainingEstimate estimate_training(const MocoConfig& model, const TrainingRun& run);

// What a training in these processes says of it before its first step.
template <class Config, class O>
std::string expected_training_memory(const Config& model, const O& options,
                                     std::int64_t num_workers, at::Device device) {
  const RunPlace place = here(device);
  return expected_memory(estimate_training(model, training_run(options, num_workers, place)).memory,
                         place);
}

}  // namespace sgmae
