// What the training of a detector or of a segmentation model will take, as train/estimate.h has it
// of pre-training: formulas alone, derived from what the layers of detect/ and segment/ keep.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sgmae/dense/model_parts.h"
#include "sgmae/detect/config.h"
#include "sgmae/nn/products.h"
#include "sgmae/segment/config.h"
#include "sgmae/tasks/expectation.h"
#include "sgmae/train/compute.h"
#include "sgmae/train/estimate.h"

namespace sgmae {

// How it is trained.
struct DenseRun {
  Precision precision = Precision::bf16;
  std::int64_t batch_size = 2;
  std::int64_t processes = 1, processes_per_host = 8;
  bool on_cpu = true;
  bool own_products = true;             // has_products()
  bool shard_optimizer = false;         // moments in shards
  bool checkpoint_activations = false;  // of the encoder
  std::int64_t num_workers = 2;
};

// Images are taken to fill canvas or crop, and to have as many objects as are drawn at most: most
// take less.
struct DenseEstimate {
  std::vector<ModelPart> parts;
  MemoryEstimate memory;  // of one process; without what the data set itself takes
  // Floating-point operations of a pass over one image, forward and backward (train/flops.h).
  double encoder_flop = 0, head_flop = 0;
};
DenseEstimate dense_estimate(const MaskRcnnConfig& model, const DenseRun& run);
DenseEstimate dense_estimate(const SegmenterConfig& model, const DenseRun& run);

// Of DetectOptions or SegmentOptions.
template <class O>
DenseRun dense_run(const O& options, const RunPlace& place) {
  DenseRun run;
  run.precision = choose_precision(options.precision, place.device);
  run.batch_size = options.batch_size;
  run.processes = place.processes, run.processes_per_host = place.processes_per_host;
  run.on_cpu = place.device.is_cpu();
  run.own_products = has_products(place.device);
  run.shard_optimizer = options.shards_optimizer(run.on_cpu, place.processes,
                                                 place.processes <= place.processes_per_host);
  run.checkpoint_activations = options.checkpoint_activations;
  run.num_workers = options.data.num_workers;
  return run;
}

}  // namespace sgmae
