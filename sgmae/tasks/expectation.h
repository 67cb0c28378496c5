// What a pre-training run is expected to take, for its command and for `sgmae estimate`.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>

#include "sgmae/data/source.h"
#include "sgmae/nn/products.h"
#include "sgmae/tasks/pretrain_options.h"
#include "sgmae/train/clock.h"
#include "sgmae/train/compute.h"
#include "sgmae/train/estimate.h"

namespace sgmae {

// How a run is spread.
struct RunPlace {
  at::Device device;
  std::int64_t processes = 1, processes_per_host = 8;
};
RunPlace here(at::Device device);  // that of these processes, taken to be on one host

// Of options with their precision, batch_size, MemoryOptions and number of loading threads.
template <class O>
TrainingRun training_run(const O& options, std::int64_t num_workers, const RunPlace& place) {
  TrainingRun run;
  run.precision = choose_precision(options.precision, place.device);
  run.batch_size = options.batch_size;
  run.processes = place.processes, run.processes_per_host = place.processes_per_host;
  run.on_cpu = place.device.is_cpu();
  run.own_products = has_products(place.device);
  run.shard_optimizer = options.shards_optimizer(run.on_cpu, place.processes, hosts(run) == 1);
  run.checkpoint_activations = options.checkpoint_activations;
  run.num_workers = num_workers;
  return run;
}

// The formulas' input, of a run with these options on so many images; its speed is not known yet.
// Throws Error(usage) for what no run could be.
EstimateInput estimate_input(const PretrainOptions& options, const MaeConfig& model,
                             std::int64_t images, const RunPlace& place);

// Seconds of a forward and backward pass, by one of noise through `model` now, of no more images
// than take a moment on a processor, nor than the run's batches have. Leaves gradients zero.
MeasuredSpeed measure_pass(Mae& model, const EstimateInput& input);

// Of `input` with its speed, from `clock` on: "1.3 GiB of memory in this process, and 48 minutes
// …", with a warning where this machine has less.
std::string expectation(const EstimateInput& input, const TrainClock& clock);

// Of a training whose time is not known: "about 1.3 GiB of the machine's 23.0 GiB; what tests keep
// comes on top", with that warning.
std::string expected_memory(const MemoryEstimate& memory, const RunPlace& place);

std::string duration_text(double seconds);  // "40 seconds", "48 minutes", "3.5 hours", "12 days"

}  // namespace sgmae
